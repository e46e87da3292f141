import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { longTests } from '../../../support/long.ts'
import { aCandidate, aPooled, nowMs as beginMs } from '../../admission/builders.ts'
import { type ClusterPlan, patienceMs, SharedCluster } from './shared-cluster.ts'

const runMsMax = 4000
const pooledCount = 60
const numRuns = longTests ? 1000 : 100

const runMs = fc.integer({ min: 500, max: runMsMax })
const situations = fc.record({
  nodes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
  podGpus: fc.integer({ min: 1, max: 2 }),
  slots: fc.integer({ min: 1, max: 2 }),
  minReplicas: fc.integer({ min: 0, max: 2 }),
  more: fc.integer({ min: 1, max: 6 }),
  poolsFirst: fc.boolean(),
  startupMs: fc.integer({ min: 0, max: 8000 }),
  endingMs: fc.integer({ min: 0, max: 3000 }),
  pooledMs: fc.array(runMs, { minLength: pooledCount, maxLength: pooledCount }),
  dedicated: fc.array(
    fc.record({
      gpus: fc.integer({ min: 1, max: 4 }),
      atMs: fc.integer({ min: 0, max: 20_000 }),
      runMs,
    }),
    { minLength: 1, maxLength: 3 },
  ),
})
type Situation = typeof situations extends fc.Arbitrary<infer T> ? T : never

/** A pool that always has work, and a few jobs that need Nodes, each of which some Node could hold. */
function planOf({ more, pooledMs, dedicated, ...plan }: Situation): ClusterPlan {
  const largest = Math.max(...plan.nodes)
  return {
    ...plan,
    podGpus: Math.min(plan.podGpus, largest),
    maxReplicas: plan.minReplicas + more,
    arrivals: [
      ...pooledMs.map((ranMs, index) => {
        return { atMs: 0, runMs: ranMs, job: aPooled(`p${index}`, { department: 'wafer' }) }
      }),
      ...dedicated.map(({ gpus, ...rest }, index) => {
        return { ...rest, job: aCandidate(`d${index}`, { gpus: Math.min(gpus, largest) }) }
      }),
    ],
  }
}

function check(property: (plan: ClusterPlan) => void, over: Partial<Situation> = {}): void {
  fc.assert(
    fc.property(situations, (situation) => property(planOf({ ...situation, ...over }))),
    { numRuns },
  )
}

it('a job that the scheduler will never bind does not keep a pool from its work', () => {
  const pooledMs = Array.from({ length: pooledCount }, () => 2000)
  const usual = { podGpus: 1, slots: 1, minReplicas: 0, more: 2, startupMs: 1000, endingMs: 1000 }
  const dedicated = [{ gpus: 2, atMs: 5000, runMs: 1000 }]
  const situation = { ...usual, nodes: [2], poolsFirst: false, pooledMs, dedicated }
  const plan = { ...planOf(situation), foreign: [1] }
  const cluster = new SharedCluster(plan).runUntil(beginMs + 300_000)
  expect(cluster.started.size).toBe(pooledCount)
  // Only while the pool gives way, for one patience.
  expect(cluster.ended).toBeLessThan(20)
})

describe('a pool and jobs that need Nodes', { timeout: 120_000 }, () => {
  it('get along: no pod goes under a running job, and no Node has too much', () => {
    check((plan) => {
      const { violations } = new SharedCluster(plan).runUntil(beginMs + 120_000)
      expect(violations).toEqual([])
    })
  })

  it('all get their turn where the pool may give everything up', () => {
    check(
      (plan) => {
        const cluster = new SharedCluster(plan).runUntil(beginMs + 900_000)
        const left = plan.arrivals.filter(({ job }) => !cluster.started.has(job.uid))
        expect(left.map(({ job }) => job.uid)).toEqual([])
      },
      { minReplicas: 0 },
    )
  })

  it('wait for no longer than their patience and the jobs of the pods that go', () => {
    check(
      (plan) => {
        const cluster = new SharedCluster(plan).runUntil(beginMs + 900_000)
        const ours = plan.arrivals.filter(({ job }) => job.uid.startsWith('d'))
        // To be passed, to wait, for the last jobs of pods and for their end.
        const perJob = patienceMs + 4 * runMsMax + 5000
        for (const { atMs, job } of ours) {
          const waitedMs = (cluster.started.get(job.uid) ?? Infinity) - beginMs - atMs
          expect(waitedMs).toBeLessThan(ours.length * perJob)
        }
      },
      { minReplicas: 0 },
    )
  })
})
