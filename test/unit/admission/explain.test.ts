import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit } from '../../../src/shared/domain/admission/admit.ts'
import { whyAllWaiting, whyWaiting } from '../../../src/shared/domain/admission/explain.ts'
import type { PoolView } from '../../../src/shared/domain/admission/input.ts'
import type { Candidate } from '../../../src/shared/domain/admission/queue.ts'
import { longTests } from '../../support/long.ts'
import { applied } from './apply.ts'
import { parts } from './arbitrary-input.ts'
import {
  aCandidate,
  type CandidateOver,
  aNode,
  anInput,
  aPool,
  aPooled,
  aRunning,
  type InputOver,
} from './builders.ts'

const runs = { numRuns: longTests ? 1000 : 100 }

/** `WaitingForGpu 2 +3`: reason, position and how many start before it. */
function explained(over: InputOver, uid: string): string {
  const explanation = whyWaiting(anInput(over), uid)
  if (explanation === undefined) return 'does not wait'
  const { reason, position, aheadEstimate } = explanation
  return `${reason} ${position} +${aheadEstimate}`
}

function many(count: number, over: CandidateOver = {}): Candidate[] {
  return Array.from({ length: count }, (_, index) => {
    return aCandidate(`${over.department ?? over.user ?? 'k'}${index}`, over)
  })
}

function explainedIn(pool: Partial<PoolView>): string {
  return explained({ jobs: [aPooled('a')], pools: [aPool('warm', [], pool)] }, 'a')
}

describe('why a job waits', () => {
  const running = [aRunning('x'), aRunning('y')]
  it('is not told of one that does not wait', () => {
    expect(explained({ jobs: [aCandidate('a')] }, 'x')).toBe('does not wait')
  })

  it('is told of every job, with its position', () => {
    expect(explained({ jobs: many(3), running }, 'k0')).toBe('WaitingForGpu 1 +0')
    expect(explained({ jobs: many(3), running }, 'k2')).toBe('WaitingForGpu 3 +2')
  })

  it('names the cap that it would break', () => {
    const departments = new Map([['vision', { weight: 1, runningJobs: 2, runningJobsPerUser: 2 }]])
    const jobs = [...many(1), ...many(1, { user: 'lee' })]
    expect(explained({ jobs, running, departments }, 'k0')).toMatch(/^UserLimit/)
    expect(explained({ jobs, running, departments }, 'lee0')).toMatch(/^DepartmentLimit/)
  })

  it('names what its pool is doing', () => {
    expect(explainedIn({})).toMatch(/^WaitingForGpu/)
    expect(explainedIn({ growing: true })).toMatch(/^PoolScalingUp/)
    expect(explainedIn({ growing: true, loading: ['sd'] })).toMatch(/^ModelLoading/)
    expect(explainedIn({ growing: true, loading: ['other'] })).toMatch(/^PoolScalingUp/)
  })

  it('is not that a pool grows while no pod of it is on its way', () => {
    expect(explainedIn({ growable: true })).toMatch(/^WaitingForGpu/)
  })

  it('is that nothing could ever run it, before any cap', () => {
    const jobs = [aCandidate('a', { gpus: 9, runningJobsMax: 0 })]
    expect(explained({ jobs }, 'a')).toMatch(/^NoMatchingGpu/)
  })

  it('counts as many jobs of each colleague as of its own before it', () => {
    const jobs = [...many(5), ...many(9, { user: 'lee' }), ...many(2, { user: 'park' })]
    // Lee and Park run nothing yet, so each also starts one more.
    expect(explained({ jobs, running }, 'k3')).toBe('WaitingForGpu 4 +9')
  })

  it('counts the jobs of other departments by their weights', () => {
    const departments = new Map([
      ['vision', { weight: 100 }],
      ['wafer', { weight: 200 }],
    ])
    const jobs = [...many(5), ...many(50, { department: 'wafer' })]
    expect(explained({ jobs, running, departments }, 'k4')).toBe('WaitingForGpu 5 +13')
    const few = [...many(5), ...many(3, { department: 'wafer' })]
    expect(explained({ jobs: few, running, departments }, 'k4')).toBe('WaitingForGpu 5 +7')
  })

  it('is estimated rightly where all jobs are alike', () => {
    const jobs = [...many(20), ...many(20, { user: 'lee' }), ...many(20, { department: 'wafer' })]
    const input = anInput({ jobs, nodes: [aNode('one', 0)] })
    const order = admit({ ...input, nodes: [aNode('one', 60)] }).starts.map(({ job }) => job.uid)
    for (const uid of ['k0', 'k7', 'lee3', 'wafer9']) {
      const { aheadEstimate = Infinity } = whyWaiting(input, uid) ?? {}
      expect(Math.abs(aheadEstimate - order.indexOf(uid))).toBeLessThanOrEqual(4)
    }
  })

  it('agrees with the plan about the first of every owner', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const input = anInput({ ...given, turns: new Map() })
        const admission = admit(input)
        const after = applied(input, admission)
        const all = whyAllWaiting(after, [...admission.waiting.keys()])
        expect([...all].map(([uid, { reason }]) => [uid, reason])).toEqual([...admission.waiting])
      }),
      runs,
    )
  })
})
