import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import { addUse, emptyUse } from '../../../src/shared/domain/admission/use.ts'
import {
  aCandidate,
  aNode,
  anInput,
  aRequest,
  aRunning,
  hourMs,
  type InputOver,
  inSlot,
  nowMs,
  startsOf,
} from './builders.ts'

function started(over: InputOver): string[] {
  return startsOf(admit(anInput(over)))
}

function reasons(over: InputOver): Record<string, string> {
  return Object.fromEntries(admit(anInput(over)).waiting)
}

const one = [aNode('one', 1)]

describe('the jobs of one owner', () => {
  it('start the oldest first', () => {
    const jobs = [aCandidate('b', { createdMs: nowMs - 1 }), aCandidate('a'), aCandidate('c')]
    expect(started({ jobs })).toEqual(['b on one', 'a on one'])
  })

  it('start the higher priority before the older job', () => {
    const jobs = [aCandidate('a', { createdMs: 0 }), aCandidate('b', { priority: 51 })]
    expect(started({ jobs, nodes: one })).toEqual(['b on one'])
  })

  it('start in their order though they ask for different things', () => {
    const jobs = [
      aCandidate('c', { priority: 50, model: 'flux' }),
      aCandidate('a', { priority: 60 }),
      aCandidate('b', { priority: 55 }),
    ]
    expect(started({ jobs })).toEqual(['a on one', 'b on one'])
  })

  it('have no priority over those of another owner', () => {
    const jobs = [aCandidate('a', { priority: 100 }), aCandidate('b', { user: 'lee', priority: 0 })]
    const running = [aRunning('x')]
    expect(started({ jobs, running })).toEqual(['b on one'])
  })

  it('let a small one pass a large one that waits for room', () => {
    const jobs = [aCandidate('a', { gpus: 2 }), aCandidate('b')]
    expect(started({ jobs, running: [aRunning('x')] })).toEqual(['b on one'])
  })

  it('are not blocked by any number of jobs that fit no Node', () => {
    const large = Array.from({ length: 40 }, (_, index) => {
      return aCandidate(`l${index}`, { gpus: index + 3, priority: 90 })
    })
    expect(started({ jobs: [...large, aCandidate('z')] })).toEqual(['z on one'])
  })

  it('are looked at as far as the look-ahead goes and no further', () => {
    const jobs = [3, 2, 1].map((gpus) => aCandidate(`j${gpus}`, { gpus, priority: gpus }))
    const over = { jobs, nodes: [aNode('one', 3)], running: [aRunning('x', { gpus: 2 })] }
    expect(started({ ...over, settings: { lookAhead: 2 } })).toEqual([])
    expect(started({ ...over, settings: { lookAhead: 3 } })).toEqual(['j1 on one'])
  })
})

describe('turns', () => {
  it('alternate between the users of a department', () => {
    const jobs = ['kim', 'lee'].flatMap((user) =>
      [1, 2, 3].map((index) => aCandidate(`${user}${index}`, { user })),
    )
    expect(started({ jobs, nodes: [aNode('one', 4)] })).toEqual(
      ['kim1', 'lee1', 'kim2', 'lee2'].map((uid) => `${uid} on one`),
    )
  })

  it('count the own jobs of a department as those of one more user', () => {
    const jobs = [
      aCandidate('a', { user: undefined }),
      aCandidate('b', { user: undefined }),
      aCandidate('c', { user: 'kim' }),
    ]
    expect(started({ jobs })).toEqual(['a on one', 'c on one'])
  })

  it('follow the weights of departments', () => {
    const departments = new Map([
      ['vision', { weight: 300 }],
      ['assembly', { weight: 100 }],
    ])
    const jobs = ['vision', 'assembly'].flatMap((department) =>
      [1, 2, 3, 4, 5, 6, 7, 8].map((index) => aCandidate(`${department}${index}`, { department })),
    )
    const all = started({ jobs, departments, nodes: [aNode('one', 8)] })
    expect(all.filter((text) => text.startsWith('vision'))).toHaveLength(6)
  })

  it('lend the share of an idle department to the others', () => {
    const jobs = [1, 2, 3, 4].map((index) => aCandidate(`a${index}`))
    const departments = new Map([['assembly', { weight: 1000 }]])
    expect(started({ jobs, departments, nodes: [aNode('one', 4)] })).toHaveLength(4)
  })

  it('give the first free GPU to the department that returns', () => {
    const jobs = [aCandidate('a'), aCandidate('z', { department: 'wafer' })]
    const running = [1, 2, 3].map((index) => aRunning(`x${index}`))
    expect(started({ jobs, running, nodes: [aNode('one', 4)] })).toEqual(['z on one'])
  })

  it('remember what was used before, the more recent the heavier', () => {
    const spell = { department: 'vision', gpus: 1, startMs: nowMs - 2 * hourMs, endMs: nowMs }
    const old = { ...spell, startMs: nowMs - 8 * hourMs, endMs: nowMs - 6 * hourMs }
    const use = addUse(addUse(emptyUse(hourMs), { ...old, user: 'kim' }), { ...spell, user: 'lee' })
    const jobs = [aCandidate('l', { user: 'lee' }), aCandidate('k', { user: 'kim' })]
    expect(started({ jobs, use, nodes: one })).toEqual(['k on one'])
  })

  it('go to whoever started something longest ago when shares are the same', () => {
    const spell = { department: 'vision', gpus: 1 }
    const kim = { ...spell, user: 'kim', startMs: nowMs - 1, endMs: nowMs }
    const lee = { ...spell, user: 'lee', startMs: nowMs - 2, endMs: nowMs - 1 }
    const use = addUse(addUse(emptyUse(hourMs), kim), lee)
    const jobs = ['kim', 'lee'].map((user) => aCandidate(user, { user }))
    expect(started({ jobs, use, nodes: one })).toEqual(['lee on one'])
  })

  it('count what jobs have used that still run', () => {
    const running = [
      aRunning('x', { startMs: nowMs - hourMs }),
      aRunning('y', { department: 'wafer' }),
    ]
    const jobs = [aCandidate('a'), aCandidate('b', { department: 'wafer' })]
    expect(started({ jobs, running, nodes: [aNode('one', 3)] })).toEqual(['b on one'])
  })

  it('count a job on processors as one GPU', () => {
    const running = [aRunning('x', { gpus: 0, startMs: nowMs - 2 })]
    const spell = { department: 'wafer', gpus: 1, startMs: nowMs - 1, endMs: nowMs }
    const use = addUse(emptyUse(hourMs), spell)
    const jobs = [aCandidate('a'), aCandidate('b', { department: 'wafer' })]
    expect(started({ jobs, running, use, nodes: one })).toEqual(['b on one'])
  })

  it('count a slot as its part of the GPUs of its pod', () => {
    const slots = [1, 2, 3].map((index) =>
      aRunning(`s${index}`, { gpus: 0.25, place: inSlot('warm'), user: 'lee' }),
    )
    const running = [...slots, aRunning('x', { user: 'kim' })]
    const jobs = [aCandidate('k', { user: 'kim' }), aCandidate('l', { user: 'lee' })]
    expect(started({ jobs, running })).toEqual(['l on one'])
  })
})

describe('caps', () => {
  it('of a user hold back that user only', () => {
    const departments = new Map([['vision', { weight: 1, runningJobsPerUser: 1 }]])
    const jobs = [aCandidate('a'), aCandidate('b'), aCandidate('c', { user: 'lee' })]
    const over = { jobs, departments, nodes: [aNode('one', 4)] }
    expect(started(over)).toEqual(['a on one', 'c on one'])
    expect(reasons(over)).toEqual({ b: 'UserLimit' })
  })

  it('for users do not bind the own jobs of a department', () => {
    const departments = new Map([['vision', { weight: 1, runningJobsPerUser: 1 }]])
    const jobs = ['a', 'b'].map((uid) => aCandidate(uid, { user: undefined }))
    expect(started({ jobs, departments })).toHaveLength(2)
  })

  it('of a department count its running jobs, in slots and on Nodes, whoever owns them', () => {
    const departments = new Map([['vision', { weight: 1, runningJobs: 2 }]])
    const running = [aRunning('x'), aRunning('y', { user: 'lee', place: inSlot('warm') })]
    const jobs = [aCandidate('a', { user: 'park' }), aCandidate('b', { department: 'wafer' })]
    expect(started({ jobs, running, departments })).toEqual(['b on one'])
    expect(reasons({ jobs, running, departments })).toEqual({ a: 'DepartmentLimit' })
  })

  it('of zero let nothing run', () => {
    const departments = new Map([['wafer', { weight: 1, runningJobs: 0 }]])
    const jobs = [aCandidate('a', { runningJobsMax: 0 }), aCandidate('b', { department: 'wafer' })]
    expect(reasons({ jobs, departments })).toEqual({ a: 'UserLimit', b: 'DepartmentLimit' })
  })

  it('in a job bind that job only', () => {
    const jobs = [aCandidate('a', { runningJobsMax: 1 }), aCandidate('b')]
    expect(started({ jobs, running: [aRunning('x')] })).toEqual(['b on one'])
  })

  it('of one job more than there are let exactly one start', () => {
    const departments = new Map([['vision', { weight: 1, runningJobs: 2 }]])
    const jobs = [aCandidate('a'), aCandidate('b')]
    expect(
      started({ jobs, running: [aRunning('x')], departments, nodes: [aNode('one', 9)] }),
    ).toEqual(['a on one'])
  })
})

describe('room on Nodes', () => {
  it('keeps a large Node whole while a small one is free', () => {
    const nodes = [aNode('large', 4), aNode('small', 1)]
    const jobs = [aCandidate('a'), aCandidate('b', { user: 'lee', gpus: 4 })]
    expect(started({ jobs, nodes })).toEqual(['a on small', 'b on large'])
  })

  it('does not add up the GPUs of several Nodes for one job', () => {
    const nodes = [aNode('one', 1), aNode('two', 1)]
    expect(reasons({ jobs: [aCandidate('a', { gpus: 2 })], nodes })).toEqual({ a: 'NoMatchingGpu' })
  })

  it('may come back with a Node that is down', () => {
    const nodes = [aNode('one', 1), aNode('two', 4, false)]
    expect(reasons({ jobs: [aCandidate('a', { gpus: 4 })], nodes })).toEqual({ a: 'WaitingForGpu' })
  })

  it('is none without any Node', () => {
    expect(reasons({ jobs: [aCandidate('a')], nodes: [] })).toEqual({ a: 'NoMatchingGpu' })
  })

  it('is taken by pods of pools too', () => {
    const occupants = [{ uid: 'p', nodeName: 'one', request: aRequest(2) }]
    expect(started({ jobs: [aCandidate('a')], occupants })).toEqual([])
  })

  it('counts pods that the scheduler has yet to bind', () => {
    const unbound = { kind: 'Node', request: aRequest(2) } as const
    const running = [aRunning('x', { gpus: 2, place: unbound })]
    expect(started({ jobs: [aCandidate('a')], running })).toEqual([])
  })

  it('counts bound pods before those that the scheduler has yet to bind', () => {
    const nodes = [aNode('one', 2), aNode('two', 2)]
    const unbound = { kind: 'Node', request: aRequest(2) } as const
    const running = [aRunning('x', { gpus: 2, place: unbound }), aRunning('y')]
    expect(started({ jobs: [aCandidate('a')], nodes, running })).toEqual(['a on one'])
  })

  it('is kept on one Node for a pod that the scheduler cannot bind yet', () => {
    const nodes = [aNode('one', 2), aNode('two', 2)]
    const running = [aRunning('x', { nodeName: 'one' }), aRunning('y', { nodeName: 'two' })]
    const occupants = [{ uid: 'p', request: aRequest(2) }]
    const jobs = [aCandidate('a'), aCandidate('b')]
    expect(started({ jobs, nodes, running, occupants })).toEqual(['a on two'])
  })

  it('is not kept for ever for a pod whose only Node has been removed', () => {
    const occupants = [{ uid: 'p', request: aRequest(8) }]
    expect(started({ jobs: [aCandidate('a')], occupants })).toEqual(['a on one'])
  })

  it('ignores pods on Nodes that it does not know', () => {
    const running = [aRunning('x', { gpus: 2, nodeName: 'elsewhere' })]
    expect(started({ jobs: [aCandidate('a')], running })).toEqual(['a on one'])
  })

  it('is also processors and memory', () => {
    const request = { gpus: 0, cpuMillis: 60_000, memoryBytes: 1 }
    const jobs = [aCandidate('a', { request }), aCandidate('b', { request })]
    expect(started({ jobs })).toEqual(['a on one'])
  })
})
