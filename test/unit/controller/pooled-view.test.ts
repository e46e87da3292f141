import { describe, expect, it } from 'vitest'
import {
  jobsWithoutPod,
  openPooledAttempt,
  viewPooled,
} from '../../../src/controller/generation-job/pooled-view.ts'
import type { Pod } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { aPoolPod, cachesOver } from './board-scene.ts'
import { aCondition, aJob, at, withCondition } from './builders.ts'
import { assignedStatus, slot } from './pooled-builders.ts'

const { podName, podUID, runner } = slot
const open = { number: 1, pool: 'warm', podName, podUID, runner }

/** A pod of the pool whose container, or the pod itself, is in this state. */
function podIn(status: Partial<NonNullable<Pod['status']>>): Pod {
  const pod = aPoolPod()
  return { ...pod, status: { ...pod.status, ...status } }
}

function deletedPod(): Pod {
  const pod = aPoolPod()
  return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: at(9) } }
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

function withContainer(status: Pick<ContainerStatus, 'state' | 'lastState'>): Pod {
  const container = { name: 'inference', image: '', imageID: '', ready: false, restartCount: 0 }
  return podIn({ containerStatuses: [{ ...container, ...status }] })
}

function stateOf(pod: Pod | undefined) {
  return viewPooled(open, { pod, answers: undefined }).pod
}

describe('an attempt in a slot', () => {
  it('is open while its status says no end of it', () => {
    expect(openPooledAttempt(aJob({ status: assignedStatus() }))).toEqual(open)
  })

  const attempt = { ...assignedStatus().attempt, number: 1 }
  const others: readonly (readonly [string, GenerationJobStatus])[] = [
    ['has an end', assignedStatus({ attempt: { ...attempt, outcome: 'Disrupted' } })],
    ['has a pod of its own', assignedStatus({ attempt: { number: 1, podUID: 'pod-1' } })],
    [
      'ended with its job',
      withCondition(assignedStatus(), aCondition('Succeeded', 'True/Completed')),
    ],
    ['is the first to come', {}],
  ]
  it.each(others)('is not when it %s', (_, status) => {
    expect(openPooledAttempt(aJob({ status }))).toBeUndefined()
  })

  it('is asked after where its pod is', () => {
    const { address } = viewPooled(open, { pod: aPoolPod(), answers: undefined })
    expect(address).toEqual({ namespace: 'vision', pool: 'warm', ip: '127.9.9.9' })
    const gone = viewPooled(open, { pod: undefined, answers: undefined })
    expect([gone.address, gone.pod]).toEqual([undefined, 'Doubtful'])
  })
})

describe('the pod of a slot', () => {
  const terminated = { exitCode: 1 }

  it.each([
    ['Runs', 'runs', aPoolPod()],
    ['Runs', 'is being deleted', deletedPod()],
    ['Ended', 'has failed', podIn({ phase: 'Failed' })],
    ['Ended', 'has succeeded', podIn({ phase: 'Succeeded' })],
    ['Runs', 'is not known to have begun', withContainer({ state: { waiting: {} } })],
    ['Doubtful', 'has no process any more', withContainer({ state: { terminated } })],
    [
      'Doubtful',
      'is about to be started again',
      withContainer({ state: { waiting: {} }, lastState: { terminated } }),
    ],
    [
      'Runs',
      'was started again',
      withContainer({ state: { running: {} }, lastState: { terminated } }),
    ],
  ])('is taken as %s when it %s', (expected, _, pod) => {
    expect(stateOf(pod)).toBe(expected)
  })
})

describe('when something of a pool has changed', () => {
  const status = assignedStatus({ attempt: { number: 1, pool: 'warm', podUID: 'uid-of-pool-pod' } })
  const job = aJob({ status })

  it.each([
    ['has its pod', [aPoolPod('pool-pod')], 0],
    ['has lost its pod', [], 1],
    ['has a pod that ended', [{ ...podIn({ phase: 'Failed' }) }], 1],
  ] as const)('a job is looked at only if it %s: %#', (_, poolPods, count) => {
    const named = poolPods.map((pod) => {
      return { ...pod, metadata: { ...pod.metadata, uid: 'uid-of-pool-pod' } }
    })
    const { caches } = cachesOver({ jobs: [job], poolPods: named })
    const found = jobsWithoutPod(caches, 'vision/warm')
    expect(found).toHaveLength(count)
  })
})
