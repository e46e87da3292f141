import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AdmissionInput } from '../../../src/shared/domain/admission/input.ts'
import { ownerKey } from '../../../src/shared/domain/admission/owner.ts'
import type { Candidate } from '../../../src/shared/domain/admission/queue.ts'
import { longTests } from '../../support/long.ts'
import { addUse, emptyUse } from '../../../src/shared/domain/admission/use.ts'
import {
  aCandidate,
  aNode,
  anInput,
  aPool,
  aRequest,
  type CandidateOver,
  hourMs,
  nowMs,
} from './builders.ts'
import { type Arrival, World, type WorldOptions } from './world.ts'

const runs = { numRuns: longTests ? 1000 : 100 }

const settings = {
  overdueMs: 12_000,
  patienceMs: 3000,
  affinityWaitMs: 2000,
  poolPatienceMs: 2000,
}
/** No run lasts longer. */
const longestMs = 10_000

const scene: AdmissionInput = anInput({
  nodes: [aNode('large', 4), aNode('middle', 2), aNode('small', 1)],
  pools: [aPool('warm', ['sd', 'turbo'])],
  departments: new Map([
    ['assembly', { weight: 1000 }],
    ['vision', { weight: 1 }],
  ]),
  settings,
})

/** The same where as few jobs may run as there are users. */
const capped: AdmissionInput = {
  ...scene,
  departments: new Map([
    ['assembly', { weight: 1000, runningJobs: 3 }],
    ['vision', { weight: 1, runningJobs: 3, runningJobsPerUser: 1 }],
  ]),
}

const kinds = {
  Processors: { execution: 'Dedicated', request: aRequest(0), pools: [] },
  One: { execution: 'Dedicated', request: aRequest(1), pools: [] },
  Two: { execution: 'Dedicated', request: aRequest(2), pools: [] },
  Four: { execution: 'Dedicated', request: aRequest(4), pools: [] },
  Auto: { execution: 'Auto', request: aRequest(2), pools: ['warm'] },
  Pooled: { execution: 'Pooled', request: aRequest(1), pools: ['warm'] },
} as const satisfies Record<string, Partial<Candidate>>

const arrivals: fc.Arbitrary<Arrival[]> = fc
  .array(
    fc.record({
      atMs: fc.nat(10_000),
      runMs: fc.integer({ min: 2000, max: longestMs }),
      department: fc.constantFrom('assembly', 'vision'),
      user: fc.constantFrom('kim', 'lee', 'park'),
      kind: fc.constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[])),
      model: fc.constantFrom('flux', 'sd', 'turbo'),
      priority: fc.constantFrom(20, 50, 80),
    }),
    { minLength: 30, maxLength: 60, size: 'max' },
  )
  .map((all) =>
    all.map(({ atMs, runMs, kind, ...owned }, index) => {
      const job = aCandidate(`job-${index}`, { ...owned, ...kinds[kind], createdMs: nowMs + atMs })
      return { atMs: nowMs + atMs, runMs, job }
    }),
  )

describe('no job starves: with N owners and runs of at most L', () => {
  it('the first job of an owner starts within the stated bound', () => {
    fc.assert(
      fc.property(arrivals, fc.constantFrom(0, 300), (all, bindMs) => {
        const owners = new Set(all.map(({ job }) => ownerKey(job))).size
        const { stories } = new World(scene, all, { bindMs }).runUntil(Infinity)
        expect(stories.size).toBe(all.length)
        for (const { startMs, firstMs, passedMs = Infinity, job } of stories.values()) {
          const waitMs =
            job.execution === 'Dedicated' ? settings.patienceMs : settings.affinityWaitMs
          const entitledMs = Math.min(firstMs + settings.overdueMs, passedMs + waitMs)
          expect(startMs).toBeLessThanOrEqual(entitledMs + 2 * owners * (longestMs + bindMs))
        }
      }),
      runs,
    )
  }, 300_000)

  it('within twice of that where caps hold jobs back as well', () => {
    fc.assert(
      fc.property(arrivals, (all) => {
        const owners = new Set(all.map(({ job }) => ownerKey(job))).size
        const { stories } = new World(capped, all).runUntil(Infinity)
        expect(stories.size).toBe(all.length)
        for (const { startMs, firstMs } of stories.values()) {
          const overdueMs = firstMs + settings.overdueMs
          expect(startMs).toBeLessThanOrEqual(overdueMs + 4 * owners * longestMs)
        }
      }),
      runs,
    )
  }, 300_000)
})

/** A job every so many ms, each for a user of his own or for one of few. */
function stream(over: CandidateOver, everyMs: number, users = Infinity): Arrival[] {
  return Array.from({ length: Math.ceil(200_000 / everyMs) }, (_, index) => {
    const atMs = nowMs + index * everyMs
    const user = `user-${index % users}`
    const job = aCandidate(`s${index}`, { user, createdMs: atMs, ...over })
    return { atMs, runMs: longestMs, job }
  })
}

const alwaysPassed = { overdueMs: Infinity, patienceMs: Infinity, affinityWaitMs: Infinity }

type Scene = {
  readonly input: AdmissionInput
  /** The job that could starve; it arrives after a second. */
  readonly victim: Candidate
  readonly others: readonly Arrival[]
}

/** How long the victim waits; undefined when it never starts. */
function waitOf({ input, victim, others }: Scene, over: Partial<AdmissionInput['settings']>) {
  const given = { ...input, settings: { ...input.settings, ...over } }
  const arrival = { atMs: nowMs + 1000, runMs: 1, job: victim }
  const world = new World(given, [...others, arrival]).runUntil(nowMs + 200_000)
  const story = world.stories.get(victim.uid)
  return story === undefined ? undefined : story.startMs - arrival.atMs
}

/** GPU time of the jobs of a department until then. */
function usedMs(world: World, department: string, endMs: number): number {
  const own = [...world.stories.values()].filter(({ job }) => job.department === department)
  return own.reduce((sum, run) => sum + Math.min(run.endMs, endMs) - run.startMs, 0)
}

describe('whoever raises the priority of each new job', () => {
  const overdueMs = 100_000
  const endMs = nowMs + 1_200_000
  const input = anInput({
    nodes: [aNode('single', 1)],
    departments: new Map([
      ['vision', { weight: 1 }],
      ['assembly', { weight: 1000 }],
    ]),
    settings: { ...settings, patienceMs: Infinity, overdueMs },
  })
  const others = Array.from({ length: 200 }, (_, index): Arrival => {
    const job = aCandidate(`a${index}`, { department: 'assembly', createdMs: nowMs })
    return { atMs: nowMs, runMs: longestMs, job }
  })
  const rising = Array.from({ length: 101 }, (_, priority): Arrival => {
    const atMs = nowMs + priority * 100
    return {
      atMs,
      runMs: longestMs,
      job: aCandidate(`v${priority}`, { priority, createdMs: atMs }),
    }
  })

  it('gets no more than one entitled job at a time, and so its share', () => {
    const world = new World(input, [...others, ...rising]).runUntil(endMs)
    const clocks = [...world.input.turns.keys()].filter((uid) => uid.startsWith('v'))
    expect(clocks).toHaveLength(1)
    const assembly = usedMs(world, 'assembly', endMs)
    const vision = usedMs(world, 'vision', endMs)
    expect(vision).toBeLessThanOrEqual(Math.ceil((endMs - nowMs) / overdueMs + 1) * longestMs)
    expect(assembly + vision).toBeGreaterThanOrEqual(endMs - nowMs - longestMs)
  })
})

describe('a Node that is kept for a large job', () => {
  const large = aCandidate('victim', { user: 'lee', gpus: 4, createdMs: nowMs })
  const arrival = { atMs: nowMs + 20_000, runMs: 1, job: large }
  const input = anInput({ nodes: [aNode('left', 4), aNode('right', 4)], settings })
  const waitIn = (options: WorldOptions) => {
    const world = new World(input, [...stream({}, 1500, 8), arrival], options)
    const story = world.runUntil(nowMs + 150_000).stories.get(large.uid)
    return story === undefined ? Infinity : story.startMs - arrival.atMs
  }

  it('is filled by a scheduler that spreads pods, unless they ask for the planned Nodes', () => {
    expect(waitIn({ bindMs: 200, scheduler: 'Spreads' })).toBe(Infinity)
    expect(waitIn({ bindMs: 200 })).toBeLessThan(settings.patienceMs + 2 * longestMs)
  })
})

describe('what would starve a job', () => {
  const large: Scene = {
    input: anInput({ nodes: [aNode('large', 4)], settings }),
    victim: aCandidate('victim', { user: 'lee', gpus: 4 }),
    others: stream({ gpus: 1 }, 2000, 8),
  }
  const heavy: Scene = {
    input: anInput({
      nodes: [aNode('single', 1)],
      use: addUse(emptyUse(hourMs), {
        department: 'vision',
        user: 'lee',
        gpus: 2,
        startMs: nowMs - 5 * hourMs,
        endMs: nowMs,
      }),
      settings,
    }),
    victim: aCandidate('victim', { user: 'lee' }),
    others: stream({}, 4000),
  }
  const light: Scene = {
    input: anInput({
      nodes: [aNode('single', 1)],
      departments: new Map([
        ['vision', { weight: 1 }],
        ['assembly', { weight: 1000 }],
      ]),
      use: heavy.input.use,
      settings,
    }),
    victim: aCandidate('victim', { user: 'park' }),
    others: stream({ department: 'assembly' }, 4000, 4),
  }
  const pooled = { execution: 'Pooled', pools: ['warm'] } as const
  const cold: Scene = {
    input: anInput({ pools: [aPool('warm', ['sd'])], settings }),
    victim: aCandidate('victim', { user: 'user-0', model: 'flux', ...pooled }),
    others: stream(pooled, 5000, 2),
  }

  const { affinityWaitMs, overdueMs, patienceMs } = settings
  const never = Infinity

  it.each([
    { name: 'smaller jobs that always fit', at: large, overdueMs: never, waitMs: patienceMs },
    { name: 'users who have used nothing yet', at: heavy, overdueMs, waitMs: overdueMs },
    { name: 'a department of 1,000 times the weight', at: light, overdueMs, waitMs: overdueMs },
    { name: 'jobs with their model in memory', at: cold, overdueMs: never, waitMs: affinityWaitMs },
  ])('$name: starve it without the limits, and not with them', ({ at, waitMs, ...over }) => {
    expect(waitOf(at, alwaysPassed)).toBeUndefined()
    // Whoever passes it first does so within the length of one run.
    expect(waitOf(at, { overdueMs: over.overdueMs })).toBeLessThanOrEqual(waitMs + 3 * longestMs)
  })
})
