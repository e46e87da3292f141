import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Estimate,
  forecast,
  type ForecastOptions,
} from '../../../src/shared/domain/admission/forecast.ts'
import { noResources } from '../../../src/shared/domain/admission/resources.ts'
import { longTests } from '../../support/long.ts'
import { parts } from './arbitrary-input.ts'
import {
  aCandidate,
  aNode,
  anInput,
  aPool,
  aPooled,
  aRunning,
  hourMs,
  type InputOver,
  inSlot,
  nowMs,
} from './builders.ts'
import { World } from './world.ts'

const runs = { numRuns: longTests ? 1000 : 100 }
const minuteMs = 60_000

function optionsOf(over: Partial<ForecastOptions> = {}): ForecastOptions {
  return {
    uids: ['a'],
    runMs: () => minuteMs,
    endMs: () => nowMs + 5 * minuteMs,
    horizonMs: 24 * hourMs,
    stepsMax: 1000,
    ...over,
  }
}

/** Of job `a`: when it starts and ends, in minutes from now. */
function told(over: InputOver, options: Partial<ForecastOptions> = {}): string {
  const estimate = forecast(anInput(over), optionsOf(options)).get('a')
  return estimate === undefined || estimate === 'Unknown' ? `${estimate}` : sketch(estimate)
}

function sketch({ startMs, endMs, basis }: Estimate): string {
  return `${basis} ${(startMs - nowMs) / minuteMs}–${(endMs - nowMs) / minuteMs}`
}

const one = [aNode('one', 1)]

const anHourAgo = () => nowMs - hourMs

/** So that all waiting limits matter within minutes. */
const impatient = {
  overdueMs: 20_000,
  patienceMs: 5000,
  affinityWaitMs: 3000,
  poolPatienceMs: 40_000,
}

/** Different for each of the arbitrary jobs. */
const runMsOf = (uid: string) => 1000 * (1 + Number(uid.slice(4)) * 7)

const slowUnlessWarm: ForecastOptions['runMs'] = (job, place) =>
  place?.kind === 'Slot' && place.slotModel === job.model ? minuteMs : 3 * minuteMs

describe('a forecast', () => {
  it('starts now what could start now', () => {
    expect(told({ jobs: [aCandidate('a')] })).toBe('Planned 0–1')
  })

  it('waits for what runs to end', () => {
    expect(told({ jobs: [aCandidate('a')], nodes: one, running: [aRunning('x')] })).toBe(
      'Planned 5–6',
    )
  })

  it('takes a run that lasts longer than expected for one that ends now', () => {
    expect(
      told({ jobs: [aCandidate('a')], nodes: one, running: [aRunning('x')] }, { endMs: anHourAgo }),
    ).toMatch(/^Planned 0\.0000/)
  })

  it('lets those before it go first', () => {
    const jobs = [1, 2, 3].map((index) => aCandidate(`p${index}`, { priority: 60 }))
    expect(told({ jobs: [...jobs, aCandidate('a')], nodes: one })).toBe('Planned 3–4')
  })

  it('asks for the time that a job takes in the place it gets', () => {
    const jobs = [aPooled('a', { createdMs: nowMs + 1 }), aPooled('b')]
    expect(told({ jobs, pools: [aPool('warm', ['other'])] }, { runMs: slowUnlessWarm })).toBe(
      'Planned 3–4',
    )
  })

  it('gets the slot that a run leaves behind, with its model', () => {
    const running = [aRunning('x', { place: inSlot('warm'), model: 'other' })]
    const pools = [aPool('warm', [])]
    const places: unknown[] = []
    const runMs: ForecastOptions['runMs'] = (_, place) => {
      places.push(place)
      return minuteMs
    }
    expect(told({ jobs: [aPooled('a')], pools, running }, { runMs })).toBe('Planned 5–6')
    expect(places).toEqual([{ kind: 'Slot', pool: 'warm', pod: 'pod-1', slotModel: 'other' }])
  })

  it.each([
    ['none where the pod is going', { going: true }, 'Unknown'],
    ['one that still lacks what its pod lacks', { lacks: ['style'] }, 'Unknown'],
    ['one for whoever does without', { lacks: ['ink'] }, 'Planned 5–6'],
  ])('of what a run leaves behind counts on %s', (_, over, expected) => {
    const running = [aRunning('x', { place: inSlot('warm', 'pod-1') })]
    const occupants = [{ uid: 'pod-1', nodeName: 'one', request: noResources, ...over }]
    const jobs = [aPooled('a', { loras: ['style'] })]
    expect(told({ jobs, pools: [aPool('warm', [])], running, occupants })).toBe(expected)
  })

  it('counts on slots that are coming, when they come', () => {
    const pools = [aPool('warm', [], { growable: true })]
    const comingSlots = [{ pool: 'warm', pod: 'p', model: 'sd', atMs: nowMs + 2 * minuteMs }]
    expect(told({ jobs: [aPooled('a')], pools })).toBe('Unknown')
    expect(told({ jobs: [aPooled('a')], pools }, { comingSlots })).toBe('Planned 2–3')
  })

  it('knows when a job stops waiting for its pool', () => {
    const pools = [aPool('warm', [], { growable: true })]
    expect(told({ jobs: [aPooled('a', { execution: 'Auto' })], pools })).toBe('Planned 0.5–1.5')
  })

  it.each([
    ['no Node could ever hold', { jobs: [aCandidate('a', { gpus: 9 })] }],
    ['a cap of zero holds back', { jobs: [aCandidate('a', { runningJobsMax: 0 })] }],
    ['does not wait', { jobs: [] }],
  ])('is unknown of a job that %s', (_, over) => {
    expect(told(over)).toBe('Unknown')
  })

  it('is unknown beyond its horizon, and known up to it', () => {
    const over = { jobs: [aCandidate('a')], nodes: one, running: [aRunning('x')] }
    expect(told(over, { horizonMs: 5 * minuteMs })).toBe('Planned 5–6')
    expect(told(over, { horizonMs: 5 * minuteMs - 1 })).toBe('Unknown')
  })

  it('is drawn on at the same pace when its steps run out', () => {
    const before = Array.from({ length: 99 }, (_, index) =>
      aCandidate(`p${index}`, { priority: 60 }),
    )
    const over = { jobs: [...before, aCandidate('a')], nodes: one }
    expect(told(over, { stepsMax: 10 })).toBe('Extrapolated 99–100')
    expect(told(over, { stepsMax: 100 })).toBe('Planned 99–100')
    expect(told(over, { stepsMax: 10, horizonMs: hourMs })).toBe('Unknown')
  })

  it('is drawn on to no moment before that until which it was planned', () => {
    const others = Array.from({ length: 50 }, (_, index) =>
      aCandidate(`o${index}`, { user: 'lee' }),
    )
    const over = { jobs: [aPooled('a'), ...others], pools: [aPool('warm', [])], nodes: one }
    expect(told(over, { stepsMax: 10 })).toBe('Extrapolated 10–11')
  })

  it('is unknown without any step, and when no step started anything', () => {
    const over = { jobs: [aCandidate('a')], nodes: one, running: [aRunning('x')] }
    expect(told(over, { stepsMax: 0 })).toBe('Unknown')
    expect(told(over, { stepsMax: 1 })).toBe('Unknown')
  })

  it('leaves the queue as it was', () => {
    const input = anInput({ jobs: [aCandidate('a'), aCandidate('b')] })
    forecast(input, optionsOf())
    expect(input.queue.size).toBe(2)
  })

  it('tells about jobs that nobody has created yet, put into a clone', () => {
    const input = anInput({ jobs: [aCandidate('b')], nodes: one })
    const queue = input.queue.clone()
    queue.put(aCandidate('a', { createdMs: nowMs + 1 }))
    const estimate = forecast({ ...input, queue }, optionsOf()).get('a')
    expect(estimate).toMatchObject({ startMs: nowMs + minuteMs })
    expect(input.queue.size).toBe(1)
  })

  it('comes true where every run takes as long as expected', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const settings = { ...given.settings, ...impatient }
        const input = anInput({ ...given, settings, jobs: [] })
        const arrivals = given.jobs.map((job) => {
          return { atMs: nowMs, job, runMs: runMsOf(job.uid) }
        })
        const leftMs = 10_000
        const { stories } = new World(input, arrivals, { leftMs }).runUntil(Infinity)
        const told_ = forecast(anInput({ ...given, settings }), {
          uids: given.jobs.map(({ uid }) => uid),
          runMs: ({ uid }) => runMsOf(uid),
          endMs: () => nowMs + leftMs,
          horizonMs: Infinity,
          stepsMax: 1000,
        })
        for (const [uid, estimate] of told_) {
          const isQuota = given.jobs.some((job) => job.uid === uid && job.execution === 'Quota')
          const story = isQuota ? undefined : stories.get(uid)
          const expected = story && { startMs: story.startMs, endMs: story.endMs, basis: 'Planned' }
          expect(estimate).toEqual(expected ?? 'Unknown')
        }
      }),
      runs,
    )
  })
})
