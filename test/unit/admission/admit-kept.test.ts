import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import type { Occupant, RunningJob, Turns } from '../../../src/shared/domain/admission/input.ts'
import {
  aCandidate,
  anInput,
  aNode,
  aPool,
  aPooled,
  aRequest,
  aRunning,
  type InputOver,
  inSlot,
  nowMs,
  startsOf,
} from './builders.ts'

const passed: Turns = new Map([['large', { firstMs: 0, passedMs: nowMs - 60_000 }]])

/** A pod of one GPU of the pool `warm`. */
function aPoolPod(uid: string, over: Partial<Occupant> = {}): Occupant {
  return { uid, nodeName: 'one', request: aRequest(1), pool: 'warm', ...over }
}

/** Two Nodes full of pods of a pool, and a job that needs a whole one of them. */
function cluster(over: InputOver & { readonly surplus?: number } = {}): InputOver {
  const { surplus = 4, ...rest } = over
  return {
    nodes: [aNode('one', 2), aNode('two', 2)],
    occupants: [
      aPoolPod('a'),
      aPoolPod('b'),
      aPoolPod('c', { nodeName: 'two' }),
      aPoolPod('d', { nodeName: 'two' }),
    ],
    pools: [aPool('warm', [], { surplus })],
    jobs: [aCandidate('large', { gpus: 2 })],
    turns: passed,
    ...rest,
  }
}

const keptIn = (over?: Parameters<typeof cluster>[0]) => admit(anInput(cluster(over))).kept
const leavingIn = (over?: Parameters<typeof cluster>[0]) => keptIn(over)?.leaving

const inPod = (uid: string, pod: string, startMs: number) =>
  aRunning(uid, { startMs, place: inSlot('warm', pod) })

describe('pods of pools go', () => {
  it('for a job that has waited long enough for a Node', () => {
    expect(leavingIn()).toEqual(['a', 'b'])
    expect(leavingIn({ turns: new Map() })).toBeUndefined()
  })

  it('only as far as their pool may give them up', () => {
    expect(leavingIn({ surplus: 2 })).toEqual(['a', 'b'])
    expect(leavingIn({ surplus: 1 })).toBeUndefined()
  })

  it('for a pod that has been made and fits nowhere, once it has waited, and not for ever', () => {
    const place = { kind: 'Node', request: aRequest(2) } as const
    const afterMs = (ms: number) =>
      leavingIn({ jobs: [], running: [aRunning('made', { place, startMs: nowMs - ms })] })
    expect(afterMs(59_999)).toBeUndefined()
    expect(afterMs(60_000)).toEqual(['a', 'b'])
    expect(afterMs(119_999)).toEqual(['a', 'b'])
    expect(afterMs(120_000)).toBeUndefined()
  })

  it('for one of them at a time', () => {
    const place = { kind: 'Node', request: aRequest(2) } as const
    const running = ['x', 'y'].map((uid) => aRunning(uid, { place, startMs: nowMs - 60_000 }))
    expect(leavingIn({ running })).toEqual(['a', 'b'])
  })

  it('for a job with a pool that will have no slot', () => {
    const jobs = [
      aCandidate('large', { gpus: 2, execution: 'Auto', pools: ['still'], createdMs: 0 }),
    ]
    const warm = aPool('warm', [], { surplus: 4 })
    const still = aPool('still', [], { serving: false })
    expect(leavingIn({ jobs, pools: [warm, still] })).toEqual(['a', 'b'])
    expect(leavingIn({ jobs, pools: [warm, { ...still, serving: true }] })).toBeUndefined()
  })

  it('not where the end of a run makes room', () => {
    const nodes = [aNode('one', 2), aNode('two', 2), aNode('three', 2)]
    const running = [aRunning('x', { nodeName: 'three' })]
    expect(leavingIn({ nodes, running })).toEqual([])
  })

  it('not for a job that slots are for', () => {
    const large = { ...aPooled('large', { pools: ['warm'] }), execution: 'Auto' as const }
    expect(leavingIn({ jobs: [large] })).toBeUndefined()
  })

  it('where the fewest have to', () => {
    const occupants = [aPoolPod('a'), aPoolPod('b'), aPoolPod('c', { nodeName: 'two' })]
    expect(leavingIn({ occupants })).toEqual(['c'])
  })

  it('rather where no run has to end', () => {
    const occupants = [aPoolPod('a'), aPoolPod('b'), aPoolPod('c', { nodeName: 'two' })]
    const running = [aRunning('x', { nodeName: 'two' })]
    expect(leavingIn({ occupants, running })).toEqual(['a', 'b'])
    expect(leavingIn({ occupants, running, surplus: 1 })).toEqual(['c'])
  })

  it('not in vain', () => {
    const occupants = [aPoolPod('a'), aPoolPod('b', { request: aRequest(2) })]
    const running = [inPod('x', 'b', nowMs - 10)]
    const nodes = [aNode('one', 3)]
    expect(leavingIn({ occupants, running, nodes })).toEqual(['b'])
  })

  it('that have nothing to do, or had their newest job the longest ago', () => {
    const jobs = [aCandidate('large')]
    const nodes = [aNode('one', 3)]
    const occupants = [aPoolPod('a'), aPoolPod('b'), aPoolPod('c')]
    const work = [inPod('x', 'a', nowMs - 10), inPod('y', 'b', nowMs - 20)]
    expect(leavingIn({ jobs, nodes, occupants, running: work })).toEqual(['c'])
    const all = [...work, inPod('z', 'c', nowMs - 5)]
    expect(leavingIn({ jobs, nodes, occupants, running: all })).toEqual(['b'])
  })
})

it('pods of pools that are to go get no more jobs', () => {
  const free = ['a', 'b', 'c'].map((pod) => ({ pod, model: 'sd' }))
  const pools = [aPool('warm', free, { surplus: 2 })]
  const jobs = [aCandidate('large', { gpus: 2 }), aPooled('small', { pools: ['warm'] })]
  expect(startsOf(admit(anInput(cluster({ pools, jobs }))))).toEqual(['small in c'])
  const place = { kind: 'Node', request: aRequest(2) } as const
  const running = [aRunning('made', { place, startMs: nowMs - 60_000 })]
  const later = admit(anInput(cluster({ pools, jobs: jobs.slice(1), running })))
  expect(startsOf(later)).toEqual(['small in c'])
})

describe('pods of pools that are going', () => {
  const occupants = [
    aPoolPod('a', { going: true }),
    aPoolPod('b', { going: true }),
    aPoolPod('c', { nodeName: 'two' }),
    aPoolPod('d', { nodeName: 'two' }),
  ]

  it('go on doing so, and no others begin to', () => {
    expect(leavingIn({ occupants })).toEqual(['a', 'b'])
    expect(leavingIn({ occupants, surplus: 0 })).toEqual(['a', 'b'])
  })

  it('count as if they ended with their newest job', () => {
    const older = aRunning('x', { gpus: 2, nodeName: 'three', startMs: nowMs - 50 })
    const over = { nodes: [aNode('one', 2), aNode('three', 2)], occupants: occupants.slice(0, 2) }
    const young = inPod('y', 'a', nowMs - 10)
    const old = inPod('y', 'a', nowMs - 90)
    expect(leavingIn({ ...over, running: [older, young] })).toEqual([])
    expect(leavingIn({ ...over, running: [older, old] })).toEqual(['a', 'b'])
  })

  it('need not do so for a job that has its Node, or is there no more', () => {
    expect(keptIn({ occupants, jobs: [] })).toBeUndefined()
    const nodes = [aNode('one', 2), aNode('two', 2), aNode('three', 2)]
    const admission = admit(anInput(cluster({ occupants, nodes })))
    expect(startsOf(admission)).toEqual(['large on three'])
    expect(admission.kept?.leaving).toEqual([])
  })
})

/** Beside a job that began to wait for its pod at `startMs`. */
function gpusBeside(place: RunningJob['place'], startMs = nowMs) {
  const kept = keptIn({ occupants: [], jobs: [], running: [aRunning('x', { place, startMs })] })
  return kept?.elsewhere.map(({ gpus }) => gpus)
}

it('leaves the room of a job alone until its pod is bound, but not for ever', () => {
  const request = aRequest(2)
  const planned = { kind: 'Node', request, plannedName: 'two' } as const
  expect(gpusBeside(planned)).toEqual([2, 0])
  expect(gpusBeside(planned, nowMs - 60_000)).toBeUndefined()
  expect(gpusBeside({ kind: 'Node', request, nodeName: 'two' })).toBeUndefined()
  const { kept } = admit(anInput(cluster({ occupants: [] })))
  expect(kept?.elsewhere.map(({ gpus }) => gpus)).toEqual([0, 2])
})

it('says what of a Node the scheduler sees free, and what of that is left', () => {
  const nodes = [aNode('one', 3), aNode('two', 2)]
  const planned = { kind: 'Node', request: aRequest(2), plannedName: 'one' } as const
  const running = [aRunning('x', { place: planned, startMs: nowMs })]
  const promised = keptIn({ nodes, running, occupants: [], jobs: [] })?.contested
  expect(promised).toMatchObject([{ free: { gpus: 3 }, left: { gpus: 1 } }])
  const occupants = [aPoolPod('a'), aPoolPod('b'), aPoolPod('c', { nodeName: 'two' })]
  expect(keptIn({ occupants, surplus: 1 })?.contested).toMatchObject([{ free: { gpus: 1 } }])
})

it('says what is free beside the Node that is kept', () => {
  const nodes = [aNode('one', 2), aNode('two', 2), aNode('three', 1)]
  expect(keptIn({ nodes })?.elsewhere.map(({ gpus }) => gpus)).toEqual([0, 1])
})

describe('a job that needs a Node is passed', () => {
  const small = aPooled('small', { department: 'wafer', pools: ['warm'] })
  const passedMs = (surplus: number) => {
    const pools = [aPool('warm', [{ pod: 'a', model: small.model }], { surplus })]
    const jobs = [aCandidate('large', { gpus: 2 }), small]
    // The share of its department is the smaller one.
    const running = [aRunning('x', { department: 'wafer', place: inSlot('warm', 'b') })]
    const input = anInput(cluster({ pools, jobs, running, turns: new Map() }))
    const admission = admit(input)
    expect(startsOf(admission)).toEqual(['small in a'])
    return admission.turns.get('large')?.passedMs
  }

  it('by whoever takes a slot of a pod that could go for it', () => {
    expect(passedMs(2)).toBe(nowMs)
  })

  it('by nobody whose pod stays', () => {
    expect(passedMs(0)).toBeUndefined()
  })

  it('by pods that have nothing to do, and the plan is made anew when it has waited', () => {
    const { turns, recheckAtMs } = admit(anInput(cluster({ turns: new Map() })))
    expect(turns.get('large')?.passedMs).toBe(nowMs)
    expect(recheckAtMs).toBe(nowMs + 60_000)
    const running = ['a', 'c'].map((pod) => inPod(`in-${pod}`, pod, nowMs - 10))
    const busy = admit(anInput(cluster({ running, turns: new Map() })))
    expect(busy.turns.get('large')?.passedMs).toBeUndefined()
  })
})
