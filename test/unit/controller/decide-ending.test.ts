import { describe, expect, it } from 'vitest'
import type { GenerationJobSpec, Input } from '../../../src/shared/crd/generation-job.ts'
import {
  aCondition,
  aJob,
  anAttempt,
  anAttemptWithoutPod,
  anEndedPod,
  aPod,
  at,
  heldAnswer,
  holdAnswer,
  output,
  reported,
  runningStatus,
  unreachable,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'

const admitted = { kind: 'Node' } as const

describe('a cancelled job', () => {
  it('ends at once when nothing runs, and needs no hold', () => {
    const { kinds, conditions, patch, outcome } = decided({ job: aJob({ spec: { cancel: true } }) })
    expect(kinds).toEqual(['WriteStatus', 'RecordEvent'])
    expect(conditions).toEqual({
      CreditsReserved: 'False/Ended',
      Admitted: 'False/Ended',
      ModelReady: 'True/Ready',
      PodsReady: 'False/Ended',
      Succeeded: 'False/Cancelled',
    })
    expect(patch.summary).toBe('0/1')
    expect(outcome).toBe('Cancelled')
  })

  it('ends its attempt first', () => {
    const job = aJob({ status: runningStatus(), spec: { cancel: true } })
    const { kinds, actions, outcome } = decided({ job, attempts: [anAttempt()] })
    expect(kinds).toEqual(['DeleteAttempt'])
    expect(actions[0]).toMatchObject({ uid: 'job-1' })
    expect(outcome).toBeUndefined()
  })

  it('waits while the attempt is being ended, also when its pod was never seen', () => {
    const job = aJob({ status: runningStatus(), spec: { cancel: true } })
    const deleting = [anAttempt(aPod({ deleting: true }), { deleting: true })]
    expect(decided({ job, attempts: deleting }).kinds).toEqual([])
    const unseen = decided({
      job: aJob({ spec: { cancel: true } }),
      attempts: [anAttemptWithoutPod()],
    })
    expect(unseen.kinds).toEqual(['WriteStatus', 'DeleteAttempt'])
    expect(unseen.patch.attempt).toEqual({ number: 1 })
  })

  it('keeps what the pod delivered before it was stopped', () => {
    const job = aJob({ status: runningStatus(), spec: { cancel: true } })
    const { conditions, patch } = decided({
      job,
      attempts: [anAttempt(anEndedPod(10), { deleting: true })],
      report: reported('Cancelled', [output]),
    })
    expect(conditions['Succeeded']).toBe('False/Cancelled')
    expect(patch).toMatchObject({ outputs: [output], summary: '1/1' })
  })

  it('does not end while the report cannot be read', () => {
    const job = aJob({ status: runningStatus(), spec: { cancel: true } })
    const attempts = [anAttempt(anEndedPod(10))]
    expect(decided({ job, attempts, report: unreachable }).kinds).toEqual([])
  })

  it('ends while it backs off or is suspended', () => {
    const status = runningStatus({ retryTime: at(90), failedAttempts: 1 })
    const { conditions, patch } = decided({ job: aJob({ status, spec: { cancel: true } }) })
    expect(conditions['Succeeded']).toBe('False/Cancelled')
    expect(patch['retryTime']).toBeNull()
  })
})

describe('a job that the api refuses', () => {
  it('ends with its reason', () => {
    const { conditions, messageOf } = decided({
      hold: holdAnswer('Refused', 'InvalidInput'),
      place: admitted,
    })
    expect(conditions['Succeeded']).toBe('False/InvalidInput')
    expect(messageOf('Succeeded')).toBe('the api says InvalidInput')
  })

  it('ends when its hold was ended before it began', () => {
    const { conditions } = decided({ hold: holdAnswer('Ended', 'Ended') })
    expect(conditions['Succeeded']).toBe('False/Cancelled')
  })

  const fromConfigMap: Input = { role: 'Image', configMapRef: { name: 'parts', key: 'a.png' } }
  const fromHistory: Input = { role: 'Image', artifact: 'a' }
  const unserved: readonly (readonly [string, Partial<GenerationJobSpec>])[] = [
    ['spec.execution', { execution: 'External' }],
    ['spec.inputs[1].configMapRef', { execution: 'Pooled', inputs: [fromHistory, fromConfigMap] }],
    ['spec.task', { execution: 'Pooled', task: 'Upscale' }],
  ]
  const served: readonly Partial<GenerationJobSpec>[] = [
    { execution: 'Pooled', inputs: [fromHistory] },
    { execution: 'Dedicated', inputs: [fromConfigMap] },
    { execution: 'Auto', inputs: [fromConfigMap] },
  ]

  it.each(unserved)('because of %s, in a way that nobody serves', (field, spec) => {
    const job = aJob({ spec })
    const { conditions, messageOf } = decided({ job, hold: heldAnswer })
    expect(conditions['Succeeded']).toBe('False/InvalidInput')
    expect(messageOf('Succeeded')).toContain(field)
  })

  it.each(served)('is not one with %o', (spec) => {
    const { conditions } = decided({ job: aJob({ spec }), hold: heldAnswer })
    expect(conditions['Succeeded']).toBe('Unknown/Running')
  })
})

function limited(over = {}) {
  return aJob({ status: runningStatus(over), spec: { activeDeadlineSeconds: 60 } })
}

describe('the active deadline', () => {
  it('ends the attempt when it is reached, and not a second before', () => {
    expect(decided({ job: limited(), attempts: [anAttempt()], after: 69 }).kinds).toEqual([])
    const { kinds } = decided({ job: limited(), attempts: [anAttempt()], after: 70 })
    expect(kinds).toEqual(['DeleteAttempt'])
  })

  it('ends the job when the pod has stopped, with its pictures', () => {
    const { conditions, patch } = decided({
      job: limited(),
      attempts: [anAttempt(anEndedPod(10), { deleting: true })],
      report: reported('Cancelled', [output]),
      after: 72,
    })
    expect(conditions['Succeeded']).toBe('False/DeadlineExceeded')
    expect(patch.outputs).toEqual([output])
  })

  it('counts the attempts before this one', () => {
    const job = limited({ activeSeconds: 30 })
    expect(decided({ job, attempts: [anAttempt()], after: 40 }).kinds).toEqual(['DeleteAttempt'])
  })

  it('stands still while the job is suspended', () => {
    const status = withCondition(
      runningStatus({ activeSeconds: 59, retryTime: at(69) }),
      aCondition('Admitted', 'False/Suspended'),
    )
    const spec = { suspend: true, activeDeadlineSeconds: 60 }
    const { conditions } = decided({ job: aJob({ status, spec }), after: 9000 })
    expect(conditions['Succeeded']).toBe('Unknown/Running')
  })

  it('ends a job whose next attempt would come too late', () => {
    const job = limited({ activeSeconds: 60, retryTime: at(80), failedAttempts: 1 })
    expect(decided({ job, after: 71 }).conditions['Succeeded']).toBe('False/DeadlineExceeded')
  })

  it('counts a later pod that does not start from its creation', () => {
    const job = limited({ attempt: { number: 2 }, activeSeconds: 30 })
    const stuck = aPod({
      phase: 'Pending',
      uid: 'pod-2',
      startedTime: undefined,
      createdTime: at(100),
    })
    const attempts = [anAttempt(stuck, { number: 2 })]
    expect(decided({ job, attempts, after: 129 }).kinds).not.toContain('DeleteAttempt')
    expect(decided({ job, attempts, after: 130 }).kinds).toContain('DeleteAttempt')
  })
})

describe('the queue timeout', () => {
  const spec = { queueTimeoutSeconds: 100 }

  it('ends a job that has waited for so long, and not a second before', () => {
    const early = decided({ job: aJob({ spec }), hold: heldAnswer, after: 99 })
    expect(early.conditions['Succeeded']).toBe('Unknown/Running')
    const { conditions } = decided({ job: aJob({ spec }), hold: heldAnswer, after: 100 })
    expect(conditions['Succeeded']).toBe('False/QueueTimeout')
  })

  it.each([
    ['TooLarge', 'No Node is large enough'],
    ['NoPool', 'no ModelPool has'],
  ] as const)('tells at last what waiting longer would not have changed: %s', (cause, words) => {
    const place = { kind: 'Queued', cause } as const
    const { conditions, messageOf } = decided({
      job: aJob({ spec }),
      hold: heldAnswer,
      place,
      after: 100,
    })
    expect(conditions['Succeeded']).toBe('False/QueueTimeout')
    expect(messageOf('Succeeded')).toContain('within 100 s')
    expect(messageOf('Succeeded')).toContain(words)
  })

  it('names the credits when those were missing', () => {
    const status = { conditions: [aCondition('CreditsReserved', 'False/InsufficientCredits')] }
    const { conditions } = decided({ job: aJob({ spec, status }), after: 100 })
    expect(conditions['Succeeded']).toBe('False/InsufficientCredits')
  })

  it('does not touch a job that has started in time', () => {
    const job = aJob({ spec, status: runningStatus() })
    expect(decided({ job, attempts: [anAttempt()], after: 500 }).kinds).toEqual([])
  })

  it('also counts for a pod that does not start, and stays true when it starts after all', () => {
    const waiting = aPod({ phase: 'Pending', startedTime: undefined })
    const status = runningStatus({ attempt: { number: 1 }, startTime: undefined })
    const job = aJob({ spec, status })
    expect(decided({ job, attempts: [anAttempt(waiting)], after: 100 }).kinds).toContain(
      'DeleteAttempt',
    )
    const late = anAttempt(anEndedPod(143, { startedTime: at(101) }), { deleting: true })
    const { conditions } = decided({
      job,
      attempts: [late],
      report: reported('nothing'),
      after: 103,
    })
    expect(conditions['Succeeded']).toBe('False/QueueTimeout')
  })
})

describe('the numbers of attempts', () => {
  it('are bounded, also for suspending and resuming for ever', () => {
    const status = runningStatus({ attempt: { number: 1000 }, retryTime: at(15) })
    const { conditions } = decided({ job: aJob({ status }), place: admitted })
    expect(conditions['Succeeded']).toBe('False/BackoffLimitExceeded')
  })
})
