import { describe, expect, it } from 'vitest'
import { type DemandInputs, demandOf } from '../../../src/controller/generation-job/pool-demand.ts'
import type { KeptRoom } from '../../../src/shared/domain/admission/node-room.ts'
import { noResources } from '../../../src/shared/domain/admission/resources.ts'
import { aPooled, queueOf } from '../admission/builders.ts'

const waitFor = (pools: readonly string[], count: number) =>
  Array.from({ length: count }, (_, index) =>
    aPooled(`${pools.length}-${index}`, { pools, model: pools.join() }),
  )

/** Jobs that wait by pool; `toCome` are the slots that may still come, by pool. */
function demanded(toCome: Readonly<Record<string, number>>, jobs: ReturnType<typeof waitFor>) {
  const inputs: DemandInputs = {
    queue: queueOf(jobs),
    running: [],
    occupants: [],
    kept: undefined,
    departments: new Map(),
    pools: Object.entries(toCome).map(([name, slotsToCome]) => {
      return { name, slotsToCome, podRequest: noResources }
    }),
    starting: new Set(),
    expectedSeconds: () => 5,
  }
  const all = [...demandOf(inputs)].map(([pool, { waitingJobs }]) => [pool, waitingJobs])
  return Object.fromEntries(all)
}

const free = (gpus: number) => ({ ...noResources, gpus })

describe('while a Node is kept for a job', () => {
  const kept = {
    leaving: ['r', 'p'],
    elsewhere: [free(3), free(0), free(4)],
    contested: [],
    isWaitedFor: true,
  }
  const inputs: DemandInputs = {
    queue: queueOf(waitFor(['a'], 2)),
    running: [],
    occupants: [
      { uid: 'p', request: free(2), pool: 'a' },
      { uid: 'q', request: free(1), pool: 'b' },
      { uid: 'r', request: free(1), pool: 'b' },
    ],
    kept,
    departments: new Map(),
    pools: ['a', 'b', 'c'].map((name, index) => {
      return { name, slotsToCome: 1, podRequest: free(index + 1) }
    }),
    starting: new Set(),
    expectedSeconds: () => 5,
  }

  function roomsBeside(contested: KeptRoom['contested']) {
    return [...demandOf({ ...inputs, kept: { ...kept, contested } }).values()].map(
      ({ room }) => room,
    )
  }

  it('each pool knows which of its pods go, and for how many more there is room', () => {
    const waits = { waitingJobs: 2, expectedSeconds: 5 }
    expect(Object.fromEntries(demandOf(inputs))).toEqual({
      a: { ...waits, yielding: ['p'], room: 7, mayWait: false },
      b: { waitingJobs: 0, expectedSeconds: 0, yielding: ['r'], room: 3, mayWait: false },
      c: { waitingJobs: 0, expectedSeconds: 0, room: 2, mayWait: false },
    })
  })

  it('there is none for pods that could come into the room of the job', () => {
    expect(roomsBeside([{ free: free(2) }])).toEqual([0, 0, 2])
    expect(roomsBeside([{ free: free(2), left: free(1) }])).toEqual([7, 0, 2])
  })

  it('a pool may have any number of pods that ask for nothing Nodes are seen to have', () => {
    const pools = [{ name: 'a', slotsToCome: 1, podRequest: undefined }]
    const { a } = Object.fromEntries(demandOf({ ...inputs, pools }))
    expect(a).toMatchObject({ waitingJobs: 2, yielding: ['p'], room: Infinity })
  })

  it('and is told nothing of it otherwise', () => {
    const { a } = Object.fromEntries(demandOf({ ...inputs, kept: undefined }))
    expect(a).toEqual({ waitingJobs: 2, expectedSeconds: 5 })
  })
})

describe('a job that two pools can serve counts', () => {
  it.each([
    ['in the first by name', { a: 3, b: 3 }, { a: 1 }],
    ['in the one that may get slots', { a: 0, b: 3 }, { b: 1 }],
    ['in one that is there', { b: 3 }, { b: 1 }],
    ['in the first by name when neither may get any', { a: 0, b: 0 }, { a: 1 }],
  ])('%s', (_, toCome, expected) => {
    expect(demanded(toCome, waitFor(['b', 'a'], 1))).toEqual(expected)
    expect(demanded(toCome, waitFor(['a', 'b'], 1))).toEqual(expected)
  })
})

describe('jobs that two pools can serve', () => {
  it('fill one after the other, and those beyond count in the first', () => {
    expect(demanded({ a: 2, b: 3 }, waitFor(['a', 'b'], 2))).toEqual({ a: 2 })
    expect(demanded({ a: 2, b: 3 }, waitFor(['a', 'b'], 4))).toEqual({ a: 2, b: 2 })
    expect(demanded({ a: 2, b: 3 }, waitFor(['a', 'b'], 9))).toEqual({ a: 6, b: 3 })
    expect(demanded({ a: 0, b: 3 }, waitFor(['a', 'b'], 9))).toEqual({ b: 9 })
  })

  it('leave the slots that other jobs have taken', () => {
    const jobs = [...waitFor(['a'], 2), ...waitFor(['a', 'b'], 1)]
    expect(demanded({ a: 2, b: 3 }, jobs)).toEqual({ a: 2, b: 1 })
  })
})
