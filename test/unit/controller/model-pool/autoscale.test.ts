import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  autoscale,
  type Scaling,
  type ScalingInput,
  type ScalingPod,
} from '../../../../src/controller/model-pool/autoscale.ts'

const nowMs = 1_000_000

function aPod(uid: string, over: Partial<ScalingPod> = {}): ScalingPod {
  const idleSinceMs = (over.busySlots ?? 0) > 0 ? undefined : nowMs
  const usual = { ready: true, createdMs: 0, busySlots: 0, leaving: false, hasNoRoom: false }
  return { uid, ...usual, idleSinceMs, ...over }
}

const busy = (uid: string) => aPod(uid, { busySlots: 1 })
const starting = (uid: string, over: Partial<ScalingPod> = {}) =>
  aPod(uid, { ready: false, createdMs: nowMs - 5000, ...over })
/** Idle for longer than idleSeconds. */
const idle = (uid: string, over: Partial<ScalingPod> = {}) =>
  aPod(uid, { idleSinceMs: nowMs - 100_000, ...over })

type Options = Partial<Omit<ScalingInput, 'spec' | 'demand'>> & {
  readonly spec?: Partial<ScalingInput['spec']>
  readonly demand?: Partial<ScalingInput['demand']>
}

function inputOf({ spec, demand, ...over }: Options): ScalingInput {
  const pods = over.pods ?? []
  return {
    stopped: false,
    current: pods.length,
    blocked: false,
    pods,
    nowMs,
    ...over,
    spec: { minReplicas: 0, maxReplicas: 10, idleSeconds: 60, slots: 1, ...spec },
    demand: { waitingJobs: 0, expectedSeconds: 10, startupSeconds: 20, ...demand },
  }
}

const waiting = (waitingJobs: number, expectedSeconds = 10) => ({ waitingJobs, expectedSeconds })

describe('the number of pods', () => {
  const rows: readonly (readonly [string, Options, number])[] = [
    ['is nothing while nobody waits', {}, 0],
    ['is one at the first job that waits', { demand: waiting(1) }, 1],
    ['is the least that is to be kept', { spec: { minReplicas: 3 } }, 3],
    ['keeps the wait below the start of a pod', { demand: waiting(6) }, 3],
    ['counts slots, not pods', { spec: { slots: 2 }, demand: waiting(6) }, 2],
    ['is no more than the jobs can use', { demand: waiting(2, 3600) }, 2],
    ['counts busy slots among those in use', { pods: [busy('a')], demand: waiting(2, 3600) }, 3],
    ['takes at most four in one step from nothing', { demand: waiting(100, 60) }, 4],
    [
      'at most doubles many',
      { spec: { maxReplicas: 50 }, pods: 'abcdef'.split('').map(busy), demand: waiting(100, 60) },
      12,
    ],
    [
      'takes no next step while the last one starts',
      { pods: ['a', 'b', 'c', 'd'].map((uid) => starting(uid)), demand: waiting(100, 60) },
      4,
    ],
    ['is never above maxReplicas', { spec: { maxReplicas: 2 }, demand: waiting(100, 60) }, 2],
    ['grows for quick jobs only when many wait', { pods: [busy('a')], demand: waiting(20, 1) }, 1],
    ['assumes 10 s for jobs that nobody has seen', { demand: waiting(4, 0) }, 2],
    [
      'does not chase waits below five seconds',
      { pods: [busy('a')], demand: { ...waiting(4, 1), startupSeconds: 0 } },
      1,
    ],
    ['stays while jobs wait', { pods: [idle('a'), idle('b')], demand: waiting(1, 1) }, 2],
    ['falls when pods have been idle for long enough', { pods: [idle('a'), idle('b')] }, 0],
    ['stays while they have not', { pods: [aPod('a'), aPod('b')] }, 2],
    ['falls at the very moment', { pods: [idle('a', { idleSinceMs: nowMs - 60_000 })] }, 0],
    ['stays a moment before', { pods: [idle('a', { idleSinceMs: nowMs - 59_999 })] }, 1],
    ['keeps the least', { spec: { minReplicas: 1 }, pods: [idle('a'), idle('b')] }, 1],
    ['keeps busy pods', { pods: [idle('a'), busy('b')] }, 1],
    ['waits for pods that start', { pods: [idle('a'), starting('b')] }, 2],
    ['gives up pods that never become ready', { pods: [starting('a', { createdMs: 0 })] }, 0],
    [
      'waits while a pod with jobs is not ready: it would be ended first',
      { pods: [idle('a'), busy('b'), starting('c', { busySlots: 1, createdMs: 0 })] },
      3,
    ],
    ['waits for pods that no cache shows yet', { pods: [idle('a')], current: 2 }, 2],
    [
      'does not wait for pods that cannot be made',
      { pods: [idle('a')], current: 3, blocked: true },
      0,
    ],
    ['waits for pods that are about to be ended', { pods: [idle('a'), idle('b')], current: 1 }, 1],
    ['is what somebody says', { spec: { replicas: 5 }, pods: [busy('a')] }, 5],
    ['is that also under running jobs', { spec: { replicas: 1 }, pods: [busy('a'), busy('b')] }, 1],
    ['is that whatever waits', { spec: { replicas: 0 }, demand: waiting(100) }, 0],
    ['is nothing when stopped', { stopped: true, spec: { replicas: 3 }, pods: [busy('a')] }, 0],
    ['falls to a lower maxReplicas', { spec: { maxReplicas: 1 }, pods: [busy('a'), busy('b')] }, 1],
  ]
  it.each(rows)('%s', (_what, options, expected) => {
    expect(autoscale(inputOf(options)).replicas).toBe(expected)
  })
})

describe('the pods that go', () => {
  const rows: readonly (readonly [string, Options, readonly string[]])[] = [
    [
      'are those idle longest',
      {
        spec: { minReplicas: 1 },
        pods: [idle('a', { idleSinceMs: 50 }), idle('b', { idleSinceMs: 10 })],
      },
      ['b'],
    ],
    [
      'are those chosen before',
      {
        spec: { minReplicas: 1 },
        pods: [idle('a', { idleSinceMs: 10 }), idle('b', { leaving: true, idleSinceMs: 20 })],
      },
      ['b'],
    ],
    [
      'are those without jobs when somebody wants fewer',
      { spec: { replicas: 1 }, pods: [busy('a'), aPod('b')] },
      ['b'],
    ],
    [
      'are those with fewest jobs otherwise',
      { spec: { replicas: 1 }, pods: [aPod('a', { busySlots: 2 }), aPod('b', { busySlots: 1 })] },
      ['b'],
    ],
    [
      'are those that start before all others',
      { spec: { replicas: 1 }, pods: [idle('a'), starting('b')] },
      ['b'],
    ],
    ['are all when stopped', { stopped: true, pods: [busy('a'), aPod('b')] }, ['b', 'a']],
    [
      'are none any more when jobs wait',
      { demand: waiting(1), pods: [idle('a', { leaving: true }), idle('b', { leaving: true })] },
      [],
    ],
    [
      'stay the same until they are ended',
      { current: 1, pods: [idle('a', { leaving: true }), idle('b')] },
      ['a'],
    ],
    [
      'stay the same when more are wanted meanwhile',
      { current: 1, demand: waiting(3, 20), pods: [idle('a', { leaving: true }), idle('b')] },
      ['a'],
    ],
  ]
  it.each(rows)('%s', (_what, options, expected) => {
    expect(autoscale(inputOf(options)).leaving).toEqual(expected)
  })
})

it('looks again when the first pod may have been idle for long enough', () => {
  const pods = [aPod('a', { idleSinceMs: nowMs - 20_000 }), aPod('b'), busy('c')]
  expect(autoscale(inputOf({ pods })).recheckAfterMs).toBe(40_000)
  expect(autoscale(inputOf({ pods: [busy('c')] })).recheckAfterMs).toBeUndefined()
})

const kept = (yielding: readonly string[], room = 0) => {
  return { ...waiting(9, 60), yielding, room, mayWait: false }
}
const promised = { ...waiting(9, 60), room: 0 }

describe('while a Node is kept for a job', () => {
  const unplaced = (uid: string) => starting(uid, { hasNoRoom: true })
  type Row = readonly [string, Options, Omit<Scaling, 'recheckAfterMs'> & Partial<Scaling>]
  const rows: readonly Row[] = [
    ['no pod is added', { demand: kept([]), pods: [busy('a')] }, { replicas: 1, leaving: [] }],
    [
      'only as many as there is room for',
      { demand: kept([], 2), pods: [busy('a')] },
      { replicas: 3, leaving: [] },
    ],
    [
      'as many as are needed where Nodes do not tell of the room',
      { demand: kept([], Infinity), pods: [busy('a'), unplaced('b')] },
      { replicas: 5, leaving: [] },
    ],
    [
      'who yields goes there as well',
      { demand: kept(['a'], Infinity), pods: [idle('a'), busy('b')] },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'none is added where room was only promised',
      { demand: promised, pods: [busy('a')] },
      { replicas: 1, leaving: [] },
    ],
    [
      'but one may wait for room then',
      { demand: promised, pods: [busy('a'), unplaced('b')] },
      { replicas: 2, leaving: [] },
    ],
    [
      'none waits for room',
      { demand: kept([]), pods: [busy('a'), unplaced('b')] },
      { replicas: 1, leaving: ['b'] },
    ],
    [
      'one that waits may stay when there is room',
      { demand: kept([], 1), pods: [busy('a'), unplaced('b')], spec: { maxReplicas: 2 } },
      { replicas: 2, leaving: [] },
    ],
    [
      'who yields goes when idle',
      { demand: kept(['a']), pods: [idle('a'), busy('b')] },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'who yields finishes its job first',
      { demand: kept(['a']), pods: [busy('a'), busy('b')] },
      { replicas: 2, leaving: ['a'] },
    ],
    [
      'who yields goes once',
      { demand: kept(['a']), pods: [idle('a'), busy('b')], current: 1 },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'who yields goes before others come',
      { demand: kept(['a'], 5), pods: [idle('a'), busy('b')] },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'none comes before those that end have gone',
      { demand: kept(['a'], 1), pods: [busy('b')], spec: { maxReplicas: 2 } },
      { replicas: 1, leaving: [] },
    ],
    [
      'others come where there is room',
      { demand: kept([], 1), pods: [busy('b')], spec: { maxReplicas: 2 } },
      { replicas: 2, leaving: [] },
    ],
    [
      'minReplicas stay',
      { demand: kept(['a', 'b']), pods: [idle('a'), idle('b')], spec: { minReplicas: 1 } },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'and one that has not been placed is none of them',
      { demand: kept(['a']), pods: [idle('a'), unplaced('b')], spec: { minReplicas: 1 } },
      { replicas: 1, leaving: ['b'] },
    ],
    [
      'a number that somebody set stays',
      { demand: kept(['a']), pods: [idle('a'), busy('b')], spec: { replicas: 2 } },
      { replicas: 2, leaving: [] },
    ],
    [
      'Kubernetes is not to end one that is becoming ready',
      { demand: kept(['a']), pods: [idle('a'), starting('b')] },
      { replicas: 2, leaving: ['a'], recheckAfterMs: 55_000 },
    ],
    [
      'Kubernetes may end one that never becomes ready',
      { demand: kept(['a']), pods: [idle('a'), starting('b', { createdMs: nowMs - 60_000 })] },
      { replicas: 1, leaving: ['a'] },
    ],
    [
      'what waits for room goes even then',
      { demand: kept([]), pods: [starting('a'), unplaced('b')] },
      { replicas: 1, leaving: ['b'] },
    ],
    [
      'Kubernetes is not to end one that works and is not ready',
      { demand: kept(['a']), pods: [idle('a'), starting('b', { busySlots: 1 })] },
      { replicas: 2, leaving: ['a'] },
    ],
  ]
  it.each(rows)('%s', (_what, options, expected) => {
    expect(autoscale(inputOf(options))).toMatchObject(expected)
  })
})

const pod = fc.record({
  uid: fc.uuid(),
  ready: fc.boolean(),
  createdMs: fc.integer({ min: 0, max: nowMs }),
  busySlots: fc.integer({ min: 0, max: 3 }),
  idleSinceMs: fc.option(fc.integer({ min: 0, max: nowMs }), { nil: undefined }),
  leaving: fc.boolean(),
  hasNoRoom: fc.boolean(),
})
const anyInput: fc.Arbitrary<ScalingInput> = fc
  .record({
    pods: fc.uniqueArray(pod, { maxLength: 12, selector: ({ uid }) => uid }),
    minReplicas: fc.integer({ min: 0, max: 6 }),
    above: fc.integer({ min: 0, max: 6 }),
    current: fc.integer({ min: 0, max: 12 }),
    blocked: fc.boolean(),
    slots: fc.integer({ min: 1, max: 4 }),
    waitingJobs: fc.integer({ min: 0, max: 300 }),
    expectedSeconds: fc.integer({ min: 0, max: 4000 }),
    startupSeconds: fc.integer({ min: 0, max: 400 }),
  })
  .map(({ minReplicas, above, slots, waitingJobs, expectedSeconds, startupSeconds, ...rest }) => ({
    ...rest,
    stopped: false,
    nowMs,
    spec: {
      minReplicas,
      maxReplicas: Math.max(1, minReplicas + above),
      idleSeconds: 60,
      slots,
    },
    demand: { waitingJobs, expectedSeconds, startupSeconds },
  }))

function check(property: (input: ScalingInput) => void): void {
  fc.assert(fc.property(anyInput, property), { numRuns: 1000 })
}

it('gives no more pods up for a job than may go, and none that works', () => {
  const wishes = fc.record({ names: fc.array(fc.nat(11)), room: fc.nat(4) })
  fc.assert(
    fc.property(anyInput, wishes, ({ pods, demand, ...rest }, { names, room }) => {
      const yielding = names.flatMap((index) => pods[index]?.uid ?? [])
      const current = pods.length
      fc.pre(current <= rest.spec.maxReplicas)
      const input = { ...rest, pods, current, demand: { ...demand, yielding, room } }
      const { replicas } = autoscale(input)
      expect(replicas).toBeGreaterThanOrEqual(rest.spec.minReplicas)
      expect(replicas).toBeLessThanOrEqual(rest.spec.maxReplicas)
      const working = pods.filter(({ busySlots, hasNoRoom }) => busySlots > 0 && !hasNoRoom)
      expect(replicas).toBeGreaterThanOrEqual(
        Math.min(current, Math.max(rest.spec.minReplicas, working.length)),
      )
    }),
    { numRuns: 1000 },
  )
})

describe('always, when nobody says a number', () => {
  it('there are between minReplicas and maxReplicas', () => {
    check((input) => {
      const { replicas } = autoscale(input)
      expect(replicas).toBeGreaterThanOrEqual(input.spec.minReplicas)
      expect(replicas).toBeLessThanOrEqual(input.spec.maxReplicas)
    })
  })

  it('no busy pod is chosen, unless there are more pods than there may be', () => {
    check((input) => {
      if (input.current > input.spec.maxReplicas) return
      const { leaving } = autoscale(input)
      const chosen = input.pods.filter(({ uid, leaving: before }) => {
        return leaving.includes(uid) && !before
      })
      expect(chosen.filter(({ busySlots }) => busySlots > 0)).toEqual([])
    })
  })

  it('as many go as the number falls, where all pods are there', () => {
    check((input) => {
      if (input.current !== input.pods.length) return
      const { replicas, leaving } = autoscale(input)
      expect(leaving).toHaveLength(Math.max(0, input.current - replicas))
    })
  })

  it('nothing falls while jobs wait', () => {
    check((input) => {
      if (input.demand.waitingJobs === 0 || input.current > input.spec.maxReplicas) return
      expect(autoscale(input).replicas).toBeGreaterThanOrEqual(input.current)
    })
  })

  it('the same input twice gives the same answer, in any order of pods', () => {
    check((input) => {
      const reversed = { ...input, pods: input.pods.toReversed() }
      const { leaving, ...rest } = autoscale(input)
      const again = autoscale(reversed)
      expect({ ...again, leaving: again.leaving.toSorted() }).toEqual({
        ...rest,
        leaving: leaving.toSorted(),
      })
    })
  })
})
