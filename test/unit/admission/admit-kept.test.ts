import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import type { Occupant, Turns } from '../../../src/shared/domain/admission/input.ts'
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

  it('for a pod that has been made and fits nowhere', () => {
    const place = { kind: 'Node', request: aRequest(2) } as const
    expect(leavingIn({ jobs: [], running: [aRunning('made', { place })] })).toEqual(['a', 'b'])
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

  it('where the fewest have to, counting what ends by itself', () => {
    const occupants = [aPoolPod('a'), aPoolPod('b'), aPoolPod('c', { nodeName: 'two' })]
    const running = [aRunning('x', { nodeName: 'two' })]
    expect(leavingIn({ occupants, running })).toEqual(['c'])
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
  const running = [aRunning('made', { place })]
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
    expect(admission.kept).toBeUndefined()
  })
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
})
