import { describe, expect, it } from 'vitest'
import { Forecaster } from '../../../../src/controller/queue/forecaster.ts'
import { simulate, type Simulation } from '../../../../src/controller/queue/simulate.ts'
import type { Candidate } from '../../../../src/shared/domain/admission/queue.ts'
import type { AdmissionInput } from '../../../../src/shared/domain/admission/input.ts'
import {
  addRun,
  addStart,
  noRunTimes,
  type RunTimes,
} from '../../../../src/shared/domain/admission/run-times.ts'
import type { WantedJobs } from '../../../../src/shared/wire/queue.ts'
import {
  aCandidate,
  anInput,
  aNode,
  aPool,
  aPooled,
  aRunning,
  type InputOver,
  inSlot,
  nowMs,
} from '../../admission/builders.ts'

const oneGpu = [aNode('one', 1)]

/** Megapixel-steps take 1 s each in pods, which need 3 s to start, and 0.5 s in slots. */
const measured = [10, 20, 30].reduce(
  (times, work) =>
    addRun(addRun(times, { model: 'sd', kind: 'Node', work, seconds: work }), {
      model: 'sd',
      kind: 'Slot',
      work,
      seconds: work / 2,
    }),
  addStart(noRunTimes, { model: 'sd', kind: 'Node', seconds: 3 }),
)

const tenEach = () => 10

type Known = { readonly times?: RunTimes; readonly workOf?: (uid: string) => number | undefined }

const seconds = (ms: number | null) => (ms === null ? null : Math.round((ms - nowMs) / 1000))

/** `[uid, start, end]` of every waiting job, in seconds from now. */
function expectations(
  { jobs = [], ...over }: InputOver,
  { times = measured, workOf = tenEach }: Known = {},
) {
  const input = anInput({ ...over, jobs })
  const uids = jobs.map(({ uid }) => uid)
  const forecaster = new Forecaster({ nowMs: () => nowMs }, () => times)
  const found = forecaster.expect(input, { uids, workOf })
  return [...found].map(([uid, { startMs, endMs }]) => [uid, seconds(startMs), seconds(endMs)])
}

describe('an expectation', () => {
  it('counts the start of a pod twice: before its own run and before those ahead of it', () => {
    const jobs = ['a', 'b'].map((uid, index) => aCandidate(uid, { createdMs: nowMs + index }))
    expect(expectations({ nodes: oneGpu, jobs })).toEqual([
      ['a', 3, 13],
      ['b', 16, 26],
    ])
  })

  it('of a slot begins at once', () => {
    const jobs = ['a', 'b'].map((uid, index) => aPooled(uid, { createdMs: nowMs + index }))
    expect(expectations({ pools: [aPool('warm', ['sd'])], jobs })).toEqual([
      ['a', 0, 5],
      ['b', 5, 10],
    ])
  })

  it('waits for what is left of a running job, and for a tenth more of one that is overdue', () => {
    const found = [4000, 100_000].map((agoMs) => {
      const running = [aRunning('old/1', { startMs: nowMs - agoMs })]
      return expectations({ nodes: oneGpu, running, jobs: [aCandidate('a')] })
    })
    expect(found).toEqual([[['a', 9, 19]], [['a', 13, 23]]])
  })

  it('is absent behind a job that nobody knows the time of', () => {
    const running = [aRunning('odd/1')]
    const jobs = [aCandidate('a')]
    const known = { workOf: (uid: string) => (uid === 'odd' ? undefined : jobs.length) }
    expect(expectations({ nodes: oneGpu, running, jobs }, known)).toEqual([])
  })

  it('has a start and no end for a model that never ran, and keeps those behind it unknown', () => {
    const jobs = [aCandidate('a', { model: 'new' }), aCandidate('b', { createdMs: nowMs + 1 })]
    expect(expectations({ nodes: oneGpu, jobs })).toEqual([['a', 0, null]])
  })

  it('is absent where nothing was ever measured and nothing is free', () => {
    const input = { nodes: oneGpu, running: [aRunning('r/1')], jobs: [aCandidate('a')] }
    expect(expectations(input, { times: noRunTimes })).toEqual([])
  })

  it('is absent for a job that fits nowhere', () => {
    const input = { nodes: oneGpu, jobs: [aCandidate('large', { gpus: 8 })] }
    expect(expectations(input)).toEqual([])
  })

  it('is drawn on for jobs far behind, in order', () => {
    const jobs = Array.from({ length: 300 }, (_, index) =>
      aCandidate(`j${String(index).padStart(3, '0')}`, { createdMs: nowMs + index }),
    )
    const found = expectations({ nodes: oneGpu, jobs })
    expect(found).toHaveLength(300)
    const starts = found.map(([, start]) => Number(start))
    expect(starts).toEqual(starts.toSorted((left, right) => left - right))
    expect(starts.at(-1)).toBeGreaterThan(299 * 11)
    expect(starts.at(-1)).toBeLessThan(299 * 15)
  })

  it('looks less far ahead when that takes long, and further when it does not', () => {
    const jobs = Array.from({ length: 600 }, (_, index) => aCandidate(`j${1000 + index}`))
    const input = anInput({ nodes: oneGpu, jobs })
    let costMs = 0
    let isBegun = false
    const clock = {
      nowMs: () => {
        isBegun = !isBegun
        return isBegun ? 0 : costMs
      },
    }
    const forecaster = new Forecaster(clock, () => measured)
    const planned = () => {
      const uids = jobs.map(({ uid }) => uid)
      const found = [...forecaster.expect(input, { uids, workOf: tenEach }).values()]
      return found.filter(({ basis }) => basis === 'Planned').length
    }
    const counts = [0, 0, 0, 0, 0, 100_000, 100_000, 100_000, 100_000, 0].map((cost) => {
      costMs = cost
      return planned()
    })
    expect(counts).toEqual([32, 64, 128, 256, 512, 512, 64, 8, 4, 4])
  })
})

const wanted: WantedJobs = {
  task: 'TextToImage',
  model: 'sd',
  loras: [],
  priority: 50,
  execution: 'Dedicated',
  work: 10,
  count: 1,
}

function run(
  jobs: readonly WantedJobs[],
  over: { input?: AdmissionInput; candidate?: Partial<Candidate> | null } = {},
) {
  const { input = anInput({ nodes: oneGpu }), candidate = {} } = over
  const forecaster = new Forecaster({ nowMs: () => nowMs }, () => measured)
  const simulation: Simulation = {
    input,
    candidateOf: ({ metadata, spec }) => {
      if (candidate === null || spec.execution === 'External') return undefined
      const { owner, modelRef, priority, execution } = spec
      const pools = execution === 'Dedicated' ? [] : ['warm']
      const asked = { ...owner, model: modelRef.name, priority, execution, pools }
      return aCandidate(metadata.uid, { ...asked, ...candidate })
    },
    expect: (imaginary, { uids, workOf }) =>
      forecaster.expect(imaginary, { uids, workOf: (uid) => workOf(uid) ?? 10 }),
    nowMs,
  }
  const request = {
    owner: { department: 'vision', user: 'kim' },
    namespace: 'n',
    jobs: [...jobs],
  }
  return simulate(request, simulation).jobs.map(({ estimatedStartTime, estimatedEndTime }) => [
    estimatedStartTime === null ? null : seconds(Date.parse(estimatedStartTime)),
    estimatedEndTime === null ? null : seconds(Date.parse(estimatedEndTime)),
  ])
}

describe('a simulation', () => {
  it('puts the jobs behind those that wait, in the order of the question', () => {
    const input = anInput({ nodes: oneGpu, jobs: [aCandidate('waits', { createdMs: nowMs - 1 })] })
    expect(run([{ ...wanted, count: 2 }, wanted], { input })).toEqual([
      [16, 39],
      [42, 52],
    ])
  })

  it('knows the work of each', () => {
    expect(run([{ ...wanted, work: 100 }, wanted])).toEqual([
      [3, 103],
      [106, 116],
    ])
  })

  it('lets the more urgent go first, as it would be', () => {
    expect(run([wanted, { ...wanted, priority: 90 }])).toEqual([
      [16, 26],
      [3, 13],
    ])
  })

  it('changes nothing about the real queue', () => {
    const input = anInput({ nodes: oneGpu, jobs: [aCandidate('waits')] })
    run([{ ...wanted, count: 200 }], { input })
    expect(input.queue.size).toBe(1)
  })

  it('does not know when jobs start that admission would not take', () => {
    expect(run([wanted], { candidate: null })).toEqual([[null, null]])
    expect(run([wanted], { candidate: { request: aCandidate('x', { gpus: 9 }).request } })).toEqual(
      [[null, null]],
    )
  })

  it('knows the first start and not the last end of a model that never ran', () => {
    expect(run([{ ...wanted, model: 'new', count: 2 }])).toEqual([[0, null]])
  })

  it('respects the caps of the owner', () => {
    const input = anInput({
      nodes: [aNode('one', 2)],
      running: [aRunning('r/1', { startMs: nowMs - 4000 })],
    })
    expect(run([wanted], { input, candidate: { runningJobsMax: 1 } })).toEqual([[9, 19]])
    expect(run([wanted], { input })).toEqual([[3, 13]])
  })

  it('goes to slots where there are some and the job may', () => {
    const running = [aRunning('r/1', { place: inSlot('warm'), startMs: nowMs - 1000 })]
    const input = anInput({ nodes: [], pools: [aPool('warm', [])], running })
    expect(run([{ ...wanted, execution: 'Pooled' }], { input })).toEqual([[4, 9]])
    expect(run([wanted], { input })).toEqual([[null, null]])
  })
})
