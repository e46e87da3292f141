import { describe, expect, it } from 'vitest'
import type { AdmissionNode } from '../../../src/shared/domain/admission/nodes.ts'
import {
  type AdmissionInput,
  type Candidate,
  planAdmission,
  type RunningAttempt,
} from '../../../src/shared/domain/admission/plan.ts'

function aNode(name: string, gpus: number, usable = true): AdmissionNode {
  return { name, usable, allocatable: { gpus, cpuMillis: 8000, memoryBytes: 1000 } }
}

function aRequest(gpus: number) {
  return { gpus, cpuMillis: 100, memoryBytes: 1 }
}

function aCandidate(uid: string, over: Partial<Candidate> & { gpus?: number } = {}): Candidate {
  const { gpus = 1, ...rest } = over
  return {
    uid,
    createdTime: `2026-01-01T00:00:0${uid.length}Z`,
    priority: 50,
    department: 'vision',
    request: aRequest(gpus),
    limits: {},
    ...rest,
  }
}

function anAttempt(uid: string, over: Partial<RunningAttempt> & { gpus?: number } = {}) {
  const { gpus = 1, ...rest } = over
  return { uid, department: 'vision', request: aRequest(gpus), ...rest }
}

/** `a: Admitted`, `b: Turn` … in the order of the candidates. */
function planned(input: Partial<AdmissionInput>): string[] {
  const whole = { nodes: [aNode('one', 2)], running: [], candidates: [], ...input }
  const plan = planAdmission(whole)
  return whole.candidates.map(({ uid }) => {
    const place = plan.get(uid)
    return `${uid}: ${place?.kind === 'Queued' ? place.cause : place?.kind}`
  })
}

describe('admission', () => {
  it('serves the oldest first and lets the rest wait', () => {
    const candidates = [aCandidate('ccc'), aCandidate('a'), aCandidate('bb')]
    expect(planned({ candidates })).toEqual(['ccc: Turn', 'a: Admitted', 'bb: Admitted'])
  })

  it('takes the smaller uid when two jobs are equally old', () => {
    const candidates = [aCandidate('b'), aCandidate('a')]
    expect(planned({ nodes: [aNode('one', 1)], candidates })).toEqual(['b: Turn', 'a: Admitted'])
  })

  it('serves a higher priority before an older job', () => {
    const candidates = [aCandidate('a'), aCandidate('bb', { priority: 60 })]
    expect(planned({ nodes: [aNode('one', 1)], candidates })).toEqual(['a: Turn', 'bb: Admitted'])
  })

  it('does not let a small job pass a large one that waits for room', () => {
    const running = [anAttempt('x/1', { nodeName: 'one' })]
    const candidates = [aCandidate('a', { gpus: 2 }), aCandidate('bb')]
    expect(planned({ running, candidates })).toEqual(['a: Turn', 'bb: Turn'])
  })

  it('lets jobs pass one that fits on no Node at all', () => {
    const candidates = [aCandidate('a', { gpus: 3 }), aCandidate('bb')]
    expect(planned({ candidates })).toEqual(['a: TooLarge', 'bb: Admitted'])
  })

  it('does not call a job too large because the Node for it is down', () => {
    const nodes = [aNode('one', 1), aNode('two', 4, false)]
    expect(planned({ nodes, candidates: [aCandidate('a', { gpus: 4 })] })).toEqual(['a: Turn'])
  })

  it('does not add up the GPUs of several Nodes for one job', () => {
    const nodes = [aNode('one', 1), aNode('two', 1)]
    expect(planned({ nodes, candidates: [aCandidate('a', { gpus: 2 })] })).toEqual(['a: TooLarge'])
  })

  it('keeps a large Node whole while a small one is free', () => {
    const nodes = [aNode('large', 4), aNode('small', 1)]
    const candidates = [aCandidate('a'), aCandidate('bb', { gpus: 4 })]
    expect(planned({ nodes, candidates })).toEqual(['a: Admitted', 'bb: Admitted'])
  })

  it('gives nothing away on a Node that is not usable', () => {
    const nodes = [aNode('one', 2, false)]
    expect(planned({ nodes, candidates: [aCandidate('a')] })).toEqual(['a: Turn'])
  })

  it('admits nobody without any Node', () => {
    expect(planned({ nodes: [], candidates: [aCandidate('a')] })).toEqual(['a: TooLarge'])
  })

  it('counts pods that the scheduler has yet to bind', () => {
    const running = [anAttempt('x/1'), anAttempt('y/1')]
    expect(planned({ running, candidates: [aCandidate('a')] })).toEqual(['a: Turn'])
  })

  it('admits nobody while an admitted pod itself finds no room', () => {
    const running = [anAttempt('x/1', { nodeName: 'one' }), anAttempt('y/1', { gpus: 2 })]
    expect(planned({ running, candidates: [aCandidate('a')] })).toEqual(['a: Turn'])
  })

  it('is not blocked for ever by a pod whose only Node has been removed', () => {
    const running = [anAttempt('x/1', { gpus: 8 })]
    expect(planned({ running, candidates: [aCandidate('a')] })).toEqual(['a: Admitted'])
  })

  it('does not count pods on Nodes that it does not know', () => {
    const running = [anAttempt('x/1', { nodeName: 'elsewhere', gpus: 2 })]
    expect(planned({ running, candidates: [aCandidate('a')] })).toEqual(['a: Admitted'])
  })

  it('also looks at processors and memory', () => {
    const request = { gpus: 0, cpuMillis: 5000, memoryBytes: 1 }
    const candidates = [aCandidate('a', { request }), aCandidate('bb', { request })]
    expect(planned({ candidates })).toEqual(['a: Admitted', 'bb: Turn'])
  })
})

describe('limits', () => {
  it('of a user hold back that user only', () => {
    const limits = { owner: 1 }
    const candidates = [
      aCandidate('a', { user: 'kim', limits }),
      aCandidate('bb', { user: 'kim', limits }),
      aCandidate('ccc', { user: 'lee', limits }),
    ]
    expect(planned({ candidates })).toEqual(['a: Admitted', 'bb: Limit', 'ccc: Admitted'])
  })

  it('of a department count its running jobs, whoever owns them', () => {
    const running = [anAttempt('x/1', { user: 'kim', nodeName: 'one' })]
    const candidates = [
      aCandidate('a', { user: 'lee', limits: { department: 1 } }),
      aCandidate('bb', { department: 'assembly', limits: { department: 1 } }),
    ]
    expect(planned({ running, candidates })).toEqual(['a: Limit', 'bb: Admitted'])
  })

  it('of zero let nothing run', () => {
    expect(planned({ candidates: [aCandidate('a', { limits: { owner: 0 } })] })).toEqual([
      'a: Limit',
    ])
  })

  it('of a department without user do not mix with those of its users', () => {
    const running = [anAttempt('x/1', { user: 'kim', nodeName: 'one' })]
    const candidates = [aCandidate('a', { limits: { owner: 1 } })]
    expect(planned({ running, candidates })).toEqual(['a: Admitted'])
  })
})
