import { describe, expect, it } from 'vitest'
import { attemptJob } from '../../../src/controller/generation-job/job.ts'
import type { PodView } from '../../../src/controller/generation-job/observed.ts'
import { viewAttempts } from '../../../src/controller/generation-job/views.ts'
import { explainOutside } from '../../../src/controller/queue/outside-queue.ts'
import type { Job } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { noRunTimes } from '../../../src/shared/domain/admission/run-times.ts'
import { aReservedJob, boardOver } from './board-scene.ts'
import {
  aCondition,
  aJob,
  aModel,
  anAttempt,
  anAttemptWithoutPod,
  anEndedPod,
  aPod,
  at,
  createdMs,
  heldAnswer,
  type ObservedOptions,
  packSettings,
  reported,
  runningStatus,
  uid,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'
import { aKubeJob } from './kube-builders.ts'

const queue = { localQueue: 'team', priorityClass: 'high' } as const
const place = { kind: 'Quota', queue } as const
const held = { quota: { suspended: true } } as const
const resumed = { quota: { suspended: false, resumedTime: at(5) } } as const
const served = { isServed: true, queue } as const

function kueueSaying(message: string, active = true) {
  return { ...served, workload: { message, active } }
}

function waitingStatus(message: string, number = 1): GenerationJobStatus {
  const { attempt: _, startTime: __, ...status } = runningStatus()
  const waiting = aCondition('Admitted', 'False/WaitingForQuota', message)
  const pods = aCondition('PodsReady', 'False/NotStarted', 'No attempt has started yet.')
  return { ...withCondition(withCondition(status, waiting), pods), attempt: { number } }
}

/** A job whose only attempt waits for its first pod. */
function waitingJob(message: string, over: ObservedOptions = {}) {
  const attempts = [anAttemptWithoutPod(held)]
  const job = aJob({ status: waitingStatus(message) })
  return decided({ job, attempts, kueue: served, ...over })
}

/** A job that had a pod, which Kueue has taken its place from. */
function evictedJob(pod: PodView | undefined, over: ObservedOptions = {}) {
  const attempt = pod === undefined ? anAttemptWithoutPod(held) : anAttempt(pod, held)
  const kueue = kueueSaying('Preempted to accommodate others')
  return decided({ job: aJob({ status: runningStatus() }), attempts: [attempt], kueue, ...over })
}

describe('a job whose queue Kueue looks after', () => {
  it('gets a Job that waits, in one write, and is not admitted', () => {
    const { kinds, actions, conditions, patch, events } = decided({
      hold: heldAnswer,
      place,
      kueue: served,
    })
    expect(kinds).toEqual(['CreateAttempt', 'WriteStatus', 'RecordEvent'])
    expect(actions[0]).toMatchObject({ number: 1, gpus: 1, queue })
    expect(patch.attempt).toEqual({ number: 1 })
    expect(events).toEqual(['WaitingForQuota'])
    expect(conditions).toMatchObject({
      CreditsReserved: 'True/Reserved',
      Admitted: 'False/WaitingForQuota',
      PodsReady: 'False/NotStarted',
    })
  })

  it('gets none before its credits are held', () => {
    expect(decided({ place, kueue: served }).kinds).toEqual(['WriteStatus'])
  })

  it('ends as invalid before anything is made when no queue can have that name', () => {
    const kueue = { ...served, queue: { localQueue: 'Team_A' } }
    const { conditions, messageOf } = decided({ hold: heldAnswer, place, kueue })
    expect(conditions['Succeeded']).toBe('False/InvalidInput')
    expect(messageOf('Succeeded')).toContain('metadata.labels[kueue.x-k8s.io/queue-name]')
  })

  it('says why it waits in Kueue’s words', () => {
    const { kinds, messageOf } = waitingJob('', { kueue: kueueSaying('no room, 2 more needed') })
    expect(kinds).toEqual(['WriteStatus'])
    expect(messageOf('Admitted')).toBe('Kueue: no room, 2 more needed')
  })

  it.each([
    ['the same with other numbers', kueueSaying('no room, 7 more needed')],
    ['nothing any more', kueueSaying('')],
    ['nothing because its Workload is not seen', served],
  ])('is not written again when Kueue says %s', (_, kueue) => {
    expect(waitingJob('Kueue: no room, 2 more needed', { kueue }).kinds).toEqual([])
  })

  it('neither starts its clock nor looks stuck, however long it waits', () => {
    const { kinds } = waitingJob('Kueue: no room', { after: 86_000 })
    expect(kinds).toEqual([])
  })

  it.each([
    ['cancelled', { cancel: true }],
    ['suspended', { suspend: true }],
  ])('gives up its Job when it is %s', (_, spec) => {
    const job = aJob({ spec, status: waitingStatus('Kueue: no room') })
    const { actions } = waitingJob('', { job })
    expect(actions.at(-1)).toMatchObject({ kind: 'DeleteAttempt', hasQuota: true })
  })

  it('gives up its Job at the queue timeout', () => {
    const { actions } = waitingJob('Kueue: no room', { after: 86_400 })
    expect(actions.at(-1)).toMatchObject({ kind: 'DeleteAttempt' })
  })

  it('gives up its Job when Kueue is gone', () => {
    const { actions } = waitingJob('Kueue: no room', { kueue: { isServed: false } })
    expect(actions).toMatchObject([{ kind: 'DeleteAttempt', name: `gj-${uid}-a1` }])
  })

  it('is admitted when Kueue has resumed its Job', () => {
    const attempts = [anAttemptWithoutPod({ quota: { suspended: false } })]
    const { conditions, kinds } = waitingJob('Kueue: no room', { attempts, after: 9000 })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions).toMatchObject({ Admitted: 'True/Admitted', PodsReady: 'False/Starting' })
  })

  it('is said to be stuck only some time after that', () => {
    const attempts = [anAttemptWithoutPod(resumed)]
    const message = (after: number) =>
      waitingJob('Kueue: no room', { attempts, after }).messageOf('PodsReady')
    expect(message(34)).not.toContain('no pod')
    expect(message(35)).toContain('Kubernetes has made no pod')
  })
})

describe('a job that Kueue takes its place from', () => {
  it.each([
    ['ends', aPod({ deleting: true })],
    ['has ended', anEndedPod(10)],
    ['is gone', undefined],
  ])('gives up its Job while its pod %s, because the next one needs another attempt', (_, pod) => {
    const { actions, conditions, messageOf } = evictedJob(pod)
    expect(actions.at(-1)).toMatchObject({ kind: 'DeleteAttempt', hasQuota: true })
    expect(conditions['Admitted']).toBe('False/WaitingForQuota')
    expect(messageOf('Admitted')).toBe('Kueue: Preempted to accommodate others')
  })

  it('goes on when its Job only seems suspended: the cache of pods is newer', () => {
    const attempts = [anAttempt(aPod(), held)]
    expect(evictedJob(undefined, { attempts }).kinds).toEqual([])
  })

  it('gives up its Job also when that has another pod already', () => {
    const attempts = [anAttempt(aPod({ uid: 'pod-2', startedTime: at(15) }), resumed)]
    expect(evictedJob(undefined, { attempts }).kinds).toContain('DeleteAttempt')
  })

  it('is interrupted, not failed, and does not flicker to admitted', () => {
    const status = withCondition(
      runningStatus(),
      aCondition('Admitted', 'False/WaitingForQuota', 'Kueue: Preempted'),
    )
    const { patch, conditions } = evictedJob(undefined, {
      job: aJob({ status }),
      attempts: [],
      confirmedGone: true,
      report: reported('Cancelled'),
    })
    expect(patch).toMatchObject({ disruptedAttempts: 1, attempt: { outcome: 'Disrupted' } })
    expect(patch.failedAttempts).toBeUndefined()
    expect(conditions['Admitted']).toBe('False/WaitingForQuota')
  })

  it('keeps its Job while the Workload is inactive, and its clock stops', () => {
    const kueue = kueueSaying('The workload is deactivated', false)
    const { kinds, patch } = evictedJob(undefined, { kueue, after: 40 })
    expect(kinds).toEqual(['WriteStatus'])
    expect(patch.activeSeconds).toBe(30)
    expect(patch.attempt).toEqual({ startTime: null })
  })

  it('is written no more while the Workload stays inactive', () => {
    const kueue = kueueSaying('The workload is deactivated', false)
    const { attempt, ...rest } = waitingStatus('Kueue: The workload is deactivated')
    const status = { ...rest, activeSeconds: 30, startTime: at(10) }
    const job = aJob({ status: { ...status, attempt: { number: 1, ...attempt, podUID: 'pod-1' } } })
    expect(evictedJob(undefined, { kueue, job, after: 80_000 }).kinds).toEqual([])
  })
})

function quotaOf(jobs: readonly Job[]) {
  return viewAttempts({ uid, jobs, pods: [] })[0]?.job?.quota
}

describe('the Job of an attempt that Kueue looks after', () => {
  const settings = {
    inferenceImage: 'atelier.dev/inference:1',
    podApiUrl: 'http://api.atelier-system:8081',
    allowCpu: false,
    retryBaseMs: 10_000,
    nodeSelector: {},
    packs: packSettings,
  }
  const plan = { job: aJob(), model: aModel(), loras: [], number: 1, gpus: 1, settings }

  it('is made suspended, and names the queue; its pods do not', () => {
    const { metadata, spec } = attemptJob({ ...plan, queue })
    expect(spec?.suspend).toBe(true)
    expect(metadata.labels).toMatchObject({
      'kueue.x-k8s.io/queue-name': 'team',
      'kueue.x-k8s.io/priority-class': 'high',
    })
    expect(Object.keys(spec?.template.metadata?.labels ?? {})).toHaveLength(3)
    expect(attemptJob(plan).spec).not.toHaveProperty('suspend')
  })

  it('is seen as such by its own label, also when Kueue gave it one', () => {
    const own = aKubeJob()
    const labels = { 'kueue.x-k8s.io/queue-name': 'default' }
    const job = {
      ...own,
      metadata: { ...own.metadata, labels },
      spec: { template: { spec: { containers: [] } }, suspend: true },
    }
    expect(quotaOf([job])).toEqual({ suspended: true, resumedTime: undefined })
    expect(quotaOf([own])).toBeUndefined()
  })
})

describe('the admission board', () => {
  const labels = { 'kueue.x-k8s.io/queue-name': 'team' }

  function queued(id: string) {
    const job = aReservedJob(id)
    return { ...job, metadata: { ...job.metadata, labels } }
  }

  it('sends a job to its queue although no GPU is free, and keeps none for it', () => {
    const [first, second, third] = [queued('1'), queued('2'), aReservedJob('3')]
    const { board } = boardOver({ jobs: [first, second, third] })
    const toTeam = { kind: 'Quota', queue: { localQueue: 'team' } }
    expect(board.placeOf(first)).toEqual(toTeam)
    board.reserve(first, { number: 1, place: { kind: 'Quota' } })
    expect(board.placeOf(first)).toEqual(toTeam)
    expect(board.placeOf(second)).toEqual(toTeam)
    expect(board.placeOf(third)).toEqual({ kind: 'Node', nodeName: 'node-1' })
    expect(board.gpus()).toEqual({ total: 1, used: 0 })
  })

  it('counts an attempt that waits for its quota under the caps only', () => {
    const kubeJob = aKubeJob()
    const waiting = {
      ...kubeJob,
      metadata: { ...kubeJob.metadata, labels },
      spec: { ...kubeJob.spec, suspend: true, template: kubeJob.spec?.template ?? {} },
    }
    const department = {
      apiVersion: 'atelier.dev/v1alpha1' as const,
      kind: 'Department' as const,
      metadata: { ...aJob().metadata, name: 'vision' },
      spec: {
        weight: 100,
        namespace: 'vision',
        limits: { runningJobs: 2 },
        managedBy: 'platform' as const,
      },
    }
    const jobs = [aJob(), queued('1'), queued('2')]
    const { board } = boardOver({ jobs, kubeJobs: [waiting], departments: [department] })
    expect(board.gpus().used).toBe(0)
    expect(board.placeOf(queued('1'))).toMatchObject({ kind: 'Quota' })
    expect(board.placeOf(queued('2'))).toEqual({ kind: 'Queued', cause: 'Turn' })
  })
})

describe('the live reason of a job that waits for its quota', () => {
  it('is that, from its first moment on', () => {
    const job = aJob({ status: waitingStatus('Kueue: no room') })
    const attempts = [anAttemptWithoutPod(held)]
    const asked = { job, attempts, work: 10, times: noRunTimes, nowMs: createdMs + 1000 }
    expect(explainOutside(asked)).toMatchObject({ reason: 'WaitingForQuota', position: null })
    const going = { ...asked, attempts: [anAttemptWithoutPod(resumed)] }
    expect(explainOutside(going)).toMatchObject({ reason: 'Starting' })
  })
})
