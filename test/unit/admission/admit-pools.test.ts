import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import type { Turns } from '../../../src/shared/domain/admission/input.ts'
import {
  aCandidate,
  aNode,
  anInput,
  aPool,
  aPooled,
  aRequest,
  aRunning,
  type InputOver,
  nowMs,
  startsOf,
} from './builders.ts'

function started(over: InputOver): string[] {
  return startsOf(admit(anInput(over)))
}

function reasons(over: InputOver): Record<string, string> {
  return Object.fromEntries(admit(anInput(over)).waiting)
}

describe('slots', () => {
  it('with the model in memory come before empty ones, and those before a switch', () => {
    const pools = [aPool('warm', ['other', null, 'sd'])]
    const jobs = ['a', 'b', 'c', 'd'].map((uid) => aPooled(uid))
    expect(started({ jobs, pools })).toEqual([
      'a in warm-2',
      'b in warm-1',
      'c in warm-0 for other',
    ])
  })

  it('serve only jobs that name their pool', () => {
    const pools = [aPool('other', ['sd'])]
    expect(started({ jobs: [aPooled('a')], pools })).toEqual([])
    expect(reasons({ jobs: [aPooled('a')], pools })).toEqual({ a: 'NoMatchingGpu' })
  })

  it('are never given to a dedicated job', () => {
    const jobs = [aPooled('a', { execution: 'Dedicated' })]
    expect(started({ jobs, pools: [aPool('warm', ['sd'])] })).toEqual(['a on one'])
  })

  it('are the only place for a pooled job', () => {
    expect(started({ jobs: [aPooled('a')], pools: [aPool('warm', [])] })).toEqual([])
    expect(reasons({ jobs: [aPooled('a')], pools: [aPool('warm', [])] })).toEqual({
      a: 'WaitingForGpu',
    })
  })

  it('of the smaller kind come first, and of the fuller pod', () => {
    const pools = [
      aPool('big', ['sd'], { gpusPerSlot: 2 }),
      aPool('warm', [
        { pod: 'idle', model: 'sd' },
        { pod: 'idle', model: 'sd' },
        { pod: 'used', model: 'sd' },
      ]),
    ]
    const jobs = ['a', 'b'].map((uid) => aPooled(uid, { pools: ['big', 'warm'] }))
    expect(started({ jobs, pools })).toEqual(['a in used', 'b in idle'])
  })

  it('switch away from the model that most slots have', () => {
    const pools = [aPool('warm', ['x', 'y', 'y'])]
    expect(started({ jobs: [aPooled('a')], pools })).toEqual(['a in warm-1 for y'])
  })
})

describe('warm affinity', () => {
  const cold = aPooled('cold', { model: 'other', createdMs: nowMs - 10 })
  const warm = aPooled('warm')
  const pools = [aPool('warm', ['sd'])]

  it('lets a later job of the owner go first when its model is in memory', () => {
    expect(started({ jobs: [cold, warm], pools })).toEqual(['warm in warm-0'])
  })

  it('does not let it go first while a slot has no model at all', () => {
    expect(started({ jobs: [cold, warm], pools: [aPool('warm', ['sd', null])] })).toEqual([
      'cold in warm-1',
      'warm in warm-0',
    ])
  })

  it('lets another owner go first whose model is in memory', () => {
    const running = [aRunning('x', { user: 'lee' })]
    expect(started({ jobs: [cold, { ...warm, user: 'lee' }], pools, running })).toEqual([
      'warm in warm-0',
    ])
  })

  it('does not let a lower priority go first', () => {
    expect(started({ jobs: [cold, { ...warm, priority: 49 }], pools })).toEqual([
      'cold in warm-0 for sd',
    ])
  })

  it('switches at once when no waiting job wants the model in memory', () => {
    expect(started({ jobs: [cold], pools })).toEqual(['cold in warm-0 for sd'])
  })

  it('does not care for the wishes of a job that a cap holds back', () => {
    const jobs = [cold, { ...warm, user: 'lee', runningJobsMax: 0 }]
    expect(started({ jobs, pools })).toEqual(['cold in warm-0 for sd'])
  })

  it('switches only the slots that are left over', () => {
    const jobs = [cold, { ...warm, user: 'lee' }]
    const admission = admit(anInput({ jobs, pools: [aPool('warm', ['sd', 'sd'])] }))
    expect(startsOf(admission)).toEqual(['warm in warm-0', 'cold in warm-1 for sd'])
    expect(admission.turns.get('cold')?.passedMs).toBeUndefined()
  })

  it('passes nobody who waits for another pool', () => {
    const busy = aPooled('busy', { pools: ['full'], createdMs: nowMs - 10 })
    const both = [...pools, aPool('full', [])]
    const { turns } = admit(anInput({ jobs: [busy, warm], pools: both }))
    expect(turns.get('busy')).toEqual({ firstMs: nowMs })
  })

  it('counts how long a job is passed from the first time on', () => {
    const { turns } = admit(anInput({ jobs: [cold, warm], pools }))
    expect(turns.get('cold')).toEqual({ firstMs: nowMs, passedMs: nowMs })
    const later = admit(anInput({ jobs: [cold, aPooled('next')], pools, turns, nowMs: nowMs + 5 }))
    expect(later.turns.get('cold')).toEqual({ firstMs: nowMs, passedMs: nowMs })
  })

  it('does not count those who went first because it was their turn', () => {
    const jobs = [cold, aPooled('later', { user: 'lee', model: 'third' })]
    const { starts, turns } = admit(anInput({ jobs, pools }))
    expect(starts.map(({ job }) => job.uid)).toEqual(['cold'])
    expect(turns.get('later')).toEqual({ firstMs: nowMs })
  })

  it('ends when the job has been passed for its waiting limit', () => {
    const turns = new Map([['cold', { firstMs: nowMs - 30_000, passedMs: nowMs - 30_000 }]])
    const notYet = new Map([['cold', { firstMs: nowMs - 30_000, passedMs: nowMs - 29_999 }]])
    expect(started({ jobs: [cold, warm], pools, turns: notYet })).toEqual(['warm in warm-0'])
    expect(started({ jobs: [cold, warm], pools, turns })).toEqual(['cold in warm-0 for sd'])
  })

  it('does not end for a job that nobody has passed, however long it waits', () => {
    const turns = new Map([['cold', { firstMs: nowMs - 600_000 }]])
    expect(started({ jobs: [cold, warm], pools, turns })).toEqual(['warm in warm-0'])
  })
})

describe('a job in Auto', () => {
  const auto = aPooled('a', { execution: 'Auto' })

  it('takes a free slot, even after a switch, before a Node', () => {
    expect(started({ jobs: [auto], pools: [aPool('warm', ['other'])] })).toEqual([
      'a in warm-0 for other',
    ])
  })

  it('takes a Node when the slots are busy and no more will come', () => {
    expect(started({ jobs: [auto], pools: [aPool('warm', [])] })).toEqual(['a on one'])
  })

  it('waits for a pool that may grow, but not longer than its patience', () => {
    const pools = [aPool('warm', [], { growable: true })]
    const waits = admit(anInput({ jobs: [auto], pools }))
    expect(startsOf(waits)).toEqual([])
    expect(waits.waiting.get('a')).toBe('WaitingForGpu')
    expect(waits.recheckAtMs).toBe(nowMs + 30_000)
    expect(started({ jobs: [auto], pools, nowMs: nowMs + 29_999 })).toEqual([])
    expect(started({ jobs: [auto], pools, nowMs: nowMs + 30_000 })).toEqual(['a on one'])
  })

  it('takes a Node after its patience though others like it have just come', () => {
    const pools = [aPool('warm', [], { growable: true })]
    const old = { ...auto, uid: 'old', user: 'lee', createdMs: nowMs - 30_000 }
    expect(started({ jobs: [auto, old], pools })).toEqual(['old on one'])
  })

  it('waits for a slot that is loading its model', () => {
    const pools = [aPool('warm', [], { loading: ['sd'] })]
    expect(reasons({ jobs: [auto], pools })).toEqual({ a: 'ModelLoading' })
    const other = [aPool('warm', [], { loading: ['other'] })]
    expect(started({ jobs: [auto], pools: other })).toEqual(['a on one'])
  })

  it('runs in a pool though no Node could hold it', () => {
    const jobs = [{ ...auto, request: { gpus: 9, cpuMillis: 0, memoryBytes: 0 } }]
    expect(started({ jobs, pools: [aPool('warm', ['sd'])] })).toEqual(['a in warm-0'])
    expect(reasons({ jobs, pools: [aPool('warm', [])] })).toEqual({ a: 'WaitingForGpu' })
  })

  it('takes a Node when the slot that it left to others is gone', () => {
    const jobs = [{ ...auto, model: 'other' }, aPooled('b', { user: 'lee' })]
    expect(started({ jobs, pools: [aPool('warm', ['sd'])] })).toEqual(['b in warm-0', 'a on one'])
  })

  it('leaves the Node to others while it waits for the pool', () => {
    const pools = [aPool('warm', [], { growable: true })]
    const jobs = [auto, aCandidate('b', { user: 'lee' })]
    expect(started({ jobs, pools, nodes: [aNode('one', 1)] })).toEqual(['b on one'])
  })
})

describe('a slot whose pod lacks something', () => {
  const slots = [
    { pod: 'old', model: 'sd', lacks: ['style'] },
    { pod: 'new', model: null },
  ]
  const pools = [aPool('warm', slots)]
  const styled = aPooled('styled', { loras: ['style'], createdMs: 0 })

  it('goes to jobs that do without, and to no other', () => {
    expect(started({ jobs: [aPooled('plain')], pools })).toEqual(['plain in old'])
    expect(started({ jobs: [styled], pools })).toEqual(['styled in new'])
    expect(started({ jobs: [styled], pools: [aPool('warm', slots.slice(0, 1))] })).toEqual([])
  })

  it('is not thrown out of for them either', () => {
    const other = aPooled('other', { model: 'flux', loras: ['style'] })
    expect(started({ jobs: [other], pools: [aPool('warm', slots.slice(0, 1))] })).toEqual([])
  })

  it.each([
    ['others', { user: 'lee' }],
    ['the same owner', {}],
  ])('goes also to jobs of %s that ask for the same, but for what it lacks', (_, owner) => {
    const plain = aPooled('plain', owner)
    const only = [aPool('warm', slots.slice(0, 1))]
    expect(started({ jobs: [styled, plain], pools: only })).toEqual(['plain in old'])
  })

  it('keeps no job in Auto from a Node that it could have', () => {
    const auto = { ...styled, execution: 'Auto' } as const
    const only = [aPool('warm', slots.slice(0, 1))]
    expect(started({ jobs: [auto], pools: only })).toEqual(['styled on one'])
  })
})

function passed(agoMs: number): Turns {
  return new Map([['large', { firstMs: nowMs - agoMs, passedMs: nowMs - agoMs }]])
}

describe('a job that waits for room', () => {
  const large = aCandidate('large', { gpus: 2, user: 'lee' })
  const nodes = [aNode('one', 2), aNode('two', 2)]
  const busy = [
    aRunning('x', { nodeName: 'one', startMs: nowMs - 100 }),
    aRunning('y', { nodeName: 'two', startMs: nowMs - 200 }),
  ]
  const small = ['s1', 's2'].map((uid) => aCandidate(uid, { department: 'wafer' }))

  it('lets others pass for a while', () => {
    const over = { jobs: [large, ...small], nodes, running: busy, turns: passed(59_999) }
    expect(started(over)).toEqual(['s1 on one', 's2 on two'])
  })

  it('then gets the Node that will be free for it soonest', () => {
    const over = { jobs: [large, ...small], nodes, running: busy, turns: passed(60_000) }
    expect(started(over)).toEqual(['s1 on one'])
    expect(reasons(over)).toEqual({ large: 'WaitingForGpu', s2: 'WaitingForGpu' })
  })

  it('gets the same Node in whatever order they are listed', () => {
    const running = busy.map((run) => ({ ...run, startMs: nowMs - 100 }))
    const over = { jobs: [large, ...small], running, turns: passed(60_000) }
    expect(started({ ...over, nodes })).toEqual(['s1 on two'])
    expect(started({ ...over, nodes: nodes.toReversed() })).toEqual(['s1 on two'])
  })

  it('gets the Node on which the oldest run frees enough, however young the others are', () => {
    const running = [
      aRunning('old', { startMs: nowMs - 300 }),
      aRunning('young', { startMs: nowMs - 10 }),
      aRunning('middle', { nodeName: 'two', startMs: nowMs - 200 }),
    ]
    const request = aRequest(0)
    const over = {
      jobs: [
        { ...large, request: aRequest(1) },
        aCandidate('tiny', { department: 'wafer', request }),
      ],
      nodes: [aNode('one', 2), aNode('two', 1)],
      running,
      turns: passed(60_000),
    }
    expect(started(over)).toEqual(['tiny on two'])
  })

  it('keeps its place under the caps of its department as well', () => {
    const departments = new Map([['vision', { weight: 1, runningJobs: 3 }]])
    const jobs = [large, aCandidate('a', { user: 'park' })]
    const over = { jobs, nodes, running: busy, departments, turns: passed(60_000) }
    expect(reasons(over)).toEqual({ large: 'WaitingForGpu', a: 'DepartmentLimit' })
  })

  it('starts before everybody else once there is room', () => {
    const running = [aRunning('x', { nodeName: 'one', user: 'lee' })]
    const over = { jobs: [large, ...small], nodes, running, turns: passed(60_000) }
    expect(started(over)).toEqual(['large on two', 's1 on one'])
  })

  it('is the only one with a Node of its own', () => {
    const larger = aCandidate('larger', { gpus: 2, user: 'park' })
    const turns = new Map([
      ...passed(60_000),
      ['larger', { firstMs: nowMs, passedMs: nowMs - 70_000 }],
    ])
    const over = { jobs: [large, larger, ...small], nodes, running: busy, turns }
    expect(started(over)).toEqual(['s1 on one'])
  })

  it('gets no Node that only pods of pools could free', () => {
    const occupants = nodes.map(({ name }) => {
      return { uid: name, nodeName: name, request: aRequest(1) }
    })
    const over = { jobs: [large, ...small], nodes, occupants, turns: passed(60_000) }
    expect(started(over)).toEqual(['s1 on one', 's2 on two'])
  })

  it('is passed by somebody who takes what it could use, and by nobody else', () => {
    const running = [aRunning('x', { gpus: 2, department: 'other' })]
    const passedMs = (spare: number) => {
      const own = [aNode('one', 2 + spare), aNode('tiny', 1)]
      const jobs = [large, ...small]
      return admit(anInput({ jobs, nodes: own, running })).turns.get('large')?.passedMs
    }
    expect(passedMs(0)).toBeUndefined()
    expect(passedMs(1)).toBe(nowMs)
  })
})

describe('a job that shares keep waiting', () => {
  const jobs = [aCandidate('a'), aCandidate('b', { department: 'wafer' })]
  const running = [aRunning('x'), aRunning('y')]
  const nodes = [aNode('one', 3)]

  it('waits as long as the share of its owner is the larger', () => {
    const turns = new Map([['a', { firstMs: nowMs - 1_799_999 }]])
    expect(started({ jobs, running, nodes, turns })).toEqual(['b on one'])
  })

  it('goes first when it is overdue', () => {
    const turns = new Map([['a', { firstMs: nowMs - 1_800_000 }]])
    expect(started({ jobs, running, nodes, turns })).toEqual(['a on one'])
  })

  it('does not break a cap that another overdue one has filled', () => {
    const turns = new Map(['a', 'c'].map((uid) => [uid, { firstMs: 0 }]))
    const departments = new Map([['vision', { weight: 1, runningJobs: 1 }]])
    const both = [aCandidate('a'), aCandidate('c', { user: 'lee' })]
    expect(started({ jobs: both, departments, turns })).toEqual(['a on one'])
  })

  it('is forgotten when it no longer waits', () => {
    const turns = new Map([['gone', { firstMs: 0 }]])
    const next = admit(anInput({ jobs, running, nodes, turns })).turns
    expect([...next.keys()]).toEqual(['a'])
  })

  it('goes before those that became overdue later', () => {
    const turns = new Map([
      ['b', { firstMs: nowMs - 1_900_000 }],
      ['a', { firstMs: nowMs - 1_950_000 }],
    ])
    expect(started({ jobs, running, nodes, turns })).toEqual(['a on one'])
  })
})
