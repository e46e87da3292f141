import { describe, expect, it } from 'vitest'
import type { AttemptEnd } from '../../../src/shared/crd/generation-job.ts'
import {
  type LocalFacts,
  needsConfirmation,
  needsHold,
  needsSettlement,
  reportNeeded,
  workloadNeeded,
} from '../../../src/controller/generation-job/questions.ts'
import {
  aCondition,
  aJob,
  aModel,
  anAttempt,
  anAttemptWithoutPod,
  anEndedPod,
  aPod,
  at,
  observed,
  type ObservedOptions,
  runningStatus,
  withCondition,
} from './builders.ts'

function facts(options: ObservedOptions = {}): LocalFacts {
  return observed(options)
}

function pausedAfter(outcome: AttemptEnd, spec = {}): LocalFacts {
  const status = runningStatus({ retryTime: at(90), attempt: { number: 1, outcome } })
  return facts({ job: aJob({ status, spec }) })
}

const ended = withCondition(
  runningStatus({ completionTime: at(100) }),
  aCondition('Succeeded', 'False/Cancelled'),
)

describe('the api is asked for the hold', () => {
  it('at the first visit, also of a suspended job', () => {
    expect(needsHold(facts())).toBe(true)
    expect(needsHold(facts({ job: aJob({ spec: { suspend: true } }) }))).toBe(true)
  })

  it('of an attempt that was made before a crash kept the status from being written', () => {
    expect(needsHold(facts({ attempts: [anAttempt()] }))).toBe(true)
  })

  it.each([
    ['it is reserved already', { job: aJob({ status: runningStatus() }) }],
    ['there is no Model to price it', { model: undefined }],
    ['the Model is not ready', { model: aModel({}, 'False/DeliveryUnsupported') }],
    ['the job is cancelled', { job: aJob({ spec: { cancel: true } }) }],
    ['it has waited for too long', { job: aJob({ spec: { queueTimeoutSeconds: 1 } }) }],
    ['it is not served anyway', { job: aJob({ spec: { execution: 'External' as const } }) }],
    ['it has ended', { job: aJob({ status: ended }) }],
  ])('not when %s', (_, options) => {
    expect(needsHold(facts(options))).toBe(false)
  })
})

describe('the api is asked for a report', () => {
  const job = aJob({ status: runningStatus() })

  it('of the current attempt, when it is over', () => {
    const attempts = [anAttempt(anEndedPod(1))]
    expect(reportNeeded(facts({ job, attempts }), false)).toBe(1)
  })

  it('of an attempt that vanished, once that is confirmed', () => {
    expect(reportNeeded(facts({ job }), true)).toBe(1)
    expect(reportNeeded(facts({ job }), false)).toBeUndefined()
  })

  it('of an attempt that failed, once more when the job ends in the pause after it', () => {
    expect(reportNeeded(pausedAfter('Failed', { cancel: true }), false)).toBe(1)
    expect(reportNeeded(pausedAfter('Failed'), false)).toBeUndefined()
    expect(reportNeeded(pausedAfter('Disrupted', { cancel: true }), false)).toBeUndefined()
  })

  it('not while it runs, not twice, and not after the end', () => {
    const attempts = [anAttempt(anEndedPod(1))]
    const accounted = aJob({ status: runningStatus({ retryTime: at(90) }) })
    expect(reportNeeded(facts({ job, attempts: [anAttempt()] }), false)).toBeUndefined()
    expect(reportNeeded(facts({ job: accounted, attempts }), false)).toBeUndefined()
    expect(reportNeeded(facts({ job: aJob({ status: ended }), attempts }), false)).toBeUndefined()
    expect(reportNeeded(facts(), false)).toBeUndefined()
  })
})

describe('the API server is asked', () => {
  it('about an attempt only when no cache shows anything of it', () => {
    const job = aJob({ status: runningStatus() })
    expect(needsConfirmation(facts({ job }))).toBe(true)
    expect(needsConfirmation(facts({ job, attempts: [anAttempt()] }))).toBe(false)
    expect(needsConfirmation(facts())).toBe(false)
    const accounted = aJob({ status: runningStatus({ retryTime: at(90) }) })
    expect(needsConfirmation(facts({ job: accounted }))).toBe(false)
  })
})

describe('the Workload is asked for', () => {
  const job = aJob({ status: runningStatus() })
  const held = { quota: { suspended: true } } as const
  const attempts = [anAttemptWithoutPod(held)]
  const kueue = { isServed: true, queue: { localQueue: 'team' } } as const
  const inactive = { ...kueue, workload: { active: false, message: '' } }
  const going = { ...kueue, workload: { active: true, message: '' } }
  const lost = { job, attempts, kueue }
  const suspendedJob = aJob({ status: runningStatus(), spec: { suspend: true } })
  const cancelledJob = aJob({ status: runningStatus(), spec: { cancel: true } })

  it.each([
    ['it had a pod and is held', lost],
    ['it is held while its Workload seems active', { ...lost, kueue: going }],
    [
      'it has another pod',
      { ...lost, attempts: [anAttempt(aPod({ uid: 'pod-2' }), { quota: { suspended: false } })] },
    ],
  ])('before an attempt is given up because %s', (_, options) => {
    expect(workloadNeeded(facts(options))?.uid).toBe('job-1')
  })

  it.each([
    ['never had a pod', { ...lost, job: aJob() }],
    ['is known to be inactive', { ...lost, kueue: inactive }],
    ['lost it with Kueue', { ...lost, kueue: { isServed: false } }],
    ['is being deleted', { ...lost, attempts: [anAttemptWithoutPod({ ...held, deleting: true })] }],
    ['ends by a suspension anyway', { ...lost, job: suspendedJob }],
    ['ends by a cancel anyway', { ...lost, job: cancelledJob }],
  ])('not of an attempt that %s', (_, options) => {
    expect(workloadNeeded(facts(options))).toBeUndefined()
  })
})

describe('the settlement is asked for', () => {
  it('when the time to live is over, not before', () => {
    const job = aJob({ status: ended, spec: { ttlSecondsAfterFinished: 10 } })
    expect(needsSettlement(facts({ job, after: 109 }))).toBe(false)
    expect(needsSettlement(facts({ job, after: 110 }))).toBe(true)
    expect(needsSettlement(facts({ after: 1_000_000 }))).toBe(false)
  })
})
