import { describe, expect, it } from 'vitest'
import {
  aCondition,
  aJob,
  anAttempt,
  anEndedPod,
  aPod,
  at,
  output,
  reported,
  runningStatus,
  unreachable,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'

const job = aJob({ status: runningStatus() })
const failed = [anAttempt(anEndedPod(1))]

describe('an attempt that is over', () => {
  it('waits for the api to tell its report', () => {
    expect(decided({ job, attempts: failed })).toMatchObject({ kinds: [], recheckAfterMs: 2000 })
    const waiting = decided({ job, attempts: failed, report: unreachable })
    expect(waiting).toMatchObject({ kinds: [], recheckAfterMs: 2000 })
  })

  it('completes the job when its report says so', () => {
    const { kinds, conditions, patch, outcome, events } = decided({
      job,
      attempts: [anAttempt(anEndedPod(0))],
      report: reported('Completed', [output]),
      after: 60,
    })
    expect(kinds).toEqual(['WriteStatus', 'RecordEvent'])
    expect(conditions).toEqual({
      CreditsReserved: 'True/Reserved',
      Admitted: 'False/Ended',
      ModelReady: 'True/Ready',
      PodsReady: 'False/Ended',
      Succeeded: 'True/Completed',
    })
    expect(patch).toMatchObject({ outputs: [output], summary: '1/1', completionTime: at(60) })
    expect(patch.activeSeconds).toBe(50)
    expect(outcome).toBe('Completed')
    expect(events).toEqual(['Completed'])
  })

  it('says in its Event what the condition says, also when the pod has nothing to add', () => {
    const silent = { reason: 'Completed' as const, message: '', outputs: [output], stepsDone: 1 }
    const { actions, messageOf } = decided({
      job,
      attempts: [anAttempt(anEndedPod(0))],
      report: { kind: 'Answered', value: { ...silent, report: silent } },
    })
    const message = 'Every output is stored.'
    expect(messageOf('Succeeded')).toBe(message)
    expect(actions.at(-1)).toMatchObject({ kind: 'RecordEvent', event: { message } })
  })

  it('counts the pictures that were wanted, from the job and the model', () => {
    const wanting = aJob({
      status: runningStatus(),
      spec: { parameters: { batchCount: 3, batchSize: 2 } },
    })
    const { patch } = decided({
      job: wanting,
      attempts: [anAttempt(anEndedPod(0))],
      report: reported('Completed', [output]),
    })
    expect(patch.summary).toBe('1/6')
  })

  it('completes the job even when a cancel or a deadline came at the last moment', () => {
    const spec = { cancel: true, activeDeadlineSeconds: 1 }
    const { conditions } = decided({
      job: aJob({ status: runningStatus(), spec }),
      attempts: [anAttempt(anEndedPod(0))],
      report: reported('Completed'),
    })
    expect(conditions['Succeeded']).toBe('True/Completed')
  })

  it.each([
    ['by its exit code', 20, reported('nothing')],
    ['by its report', 1, reported('InvalidInput')],
  ])('is not repeated when its input is invalid, %s', (_, code, report) => {
    const { conditions, outcome } = decided({
      job,
      attempts: [anAttempt(anEndedPod(code))],
      report,
    })
    expect(conditions['Succeeded']).toBe('False/InvalidInput')
    expect(outcome).toBe('InvalidInput')
  })
})

describe('a failed attempt', () => {
  it('is counted and repeated after a pause', () => {
    const { kinds, conditions, patch, messageOf, events } = decided({
      job,
      attempts: failed,
      report: reported('Failed'),
      after: 30,
    })
    expect(kinds).toEqual(['WriteStatus', 'RecordEvent'])
    expect(patch).toMatchObject({ failedAttempts: 1, retryTime: at(40), activeSeconds: 30 })
    expect(conditions).toMatchObject({ PodsReady: 'False/BackingOff', Admitted: 'True/Admitted' })
    expect(messageOf('PodsReady')).toBe('Attempt 1: the pod says Failed')
    expect(events).toEqual(['Retrying'])
  })

  it('doubles the pause with each failure', () => {
    const again = aJob({ status: runningStatus({ failedAttempts: 1 }) })
    const { patch } = decided({
      job: again,
      attempts: failed,
      report: reported('Failed'),
      after: 30,
    })
    expect(patch).toMatchObject({ failedAttempts: 2, retryTime: at(50) })
  })

  it('that exceeds the limit ends the job, with what the pod delivered', () => {
    const last = aJob({ status: runningStatus({ failedAttempts: 2 }) })
    const { conditions, patch, messageOf } = decided({
      job: last,
      attempts: failed,
      report: reported('Failed', [output]),
    })
    expect(conditions['Succeeded']).toBe('False/BackoffLimitExceeded')
    expect(messageOf('Succeeded')).toContain('3 attempts failed')
    expect(patch.outputs).toEqual([output])
  })

  it('without a report keeps the uploads that the api confirmed', () => {
    const last = aJob({ status: runningStatus(), spec: { backoffLimit: 0 } })
    const value = { report: null, outputs: [output], stepsDone: 3 }
    const { patch } = decided({ job: last, attempts: failed, report: { kind: 'Answered', value } })
    expect(patch).toMatchObject({ outputs: [output], summary: '1/1' })
  })
})

describe('an interrupted attempt', () => {
  const interrupted = [
    ['evicted', anEndedPod(137, { disrupted: true }), 'nothing'],
    ['killed', anEndedPod(137), 'nothing'],
    ['terminated', anEndedPod(143), 'nothing'],
    ['stopped', anEndedPod(10), 'Cancelled'],
    ['refused by its Node', aPod({ phase: 'Failed', startedTime: undefined }), 'nothing'],
    ['evicted while it reported a failure', anEndedPod(1, { disrupted: true }), 'Failed'],
  ] as const

  it.each(interrupted)('%s is repeated and not counted as a failure', (_, pod, reason) => {
    const { patch, conditions } = decided({
      job: aJob({ status: runningStatus(), spec: { backoffLimit: 0 } }),
      attempts: [anAttempt(pod)],
      report: reported(reason),
    })
    expect(patch.disruptedAttempts).toBe(1)
    expect(patch).not.toHaveProperty('failedAttempts')
    expect(conditions['Succeeded']).toBe('Unknown/Running')
  })

  it('whose pod vanished is repeated, once the API server confirms that it is gone', () => {
    const gone = { job, attempts: [], report: reported('nothing') }
    expect(decided({ ...gone, confirmedGone: false }).kinds).toEqual([])
    expect(decided({ ...gone, confirmedGone: true }).patch.disruptedAttempts).toBe(1)
  })

  it('is waited for while anything of it is left', () => {
    const terminating = [{ number: 1, pods: [aPod({ deleting: true })] }]
    const { patch } = decided({ job, attempts: terminating, confirmedGone: true })
    expect(patch).not.toHaveProperty('disruptedAttempts')
  })

  it('too often ends the job', () => {
    const unlucky = aJob({ status: runningStatus({ disruptedAttempts: 10 }) })
    const { conditions } = decided({
      job: unlucky,
      attempts: [anAttempt(anEndedPod(137))],
      report: reported('nothing'),
    })
    expect(conditions['Succeeded']).toBe('False/BackoffLimitExceeded')
  })
})

describe('a fault of the job that looks like an interruption', () => {
  it.each([
    ['out of memory', anEndedPod(137, { outOfMemory: true }), 'memory'],
    ['success without a report', anEndedPod(0), 'without a report'],
    ['an unknown exit code', anEndedPod(3), 'exit code 3'],
  ])('is counted: %s', (_, pod, words) => {
    const { patch, messageOf } = decided({
      job,
      attempts: [anAttempt(pod)],
      report: reported('nothing'),
    })
    expect(patch.failedAttempts).toBe(1)
    expect(messageOf('PodsReady')).toContain(words)
  })
})

describe('a suspended attempt', () => {
  const ended = {
    attempts: [anAttempt(anEndedPod(10), { deleting: true })],
    report: reported('Cancelled'),
  }

  it('is not counted and pauses the deadline', () => {
    const suspended = aJob({ status: runningStatus(), spec: { suspend: true, backoffLimit: 0 } })
    const { patch, conditions } = decided({ job: suspended, ...ended, after: 30 })
    expect(patch).toMatchObject({ activeSeconds: 20, retryTime: at(30) })
    expect(patch).not.toHaveProperty('failedAttempts')
    expect(patch).not.toHaveProperty('disruptedAttempts')
    expect(conditions).toMatchObject({ Admitted: 'False/Suspended', PodsReady: 'False/Ended' })
  })

  it('is not counted even when its pod ended with a failure', () => {
    const suspended = aJob({ status: runningStatus(), spec: { suspend: true, backoffLimit: 0 } })
    const attempts = [anAttempt(anEndedPod(1), { deleting: true })]
    const { patch, conditions } = decided({ job: suspended, attempts, report: reported('Failed') })
    expect(conditions['Succeeded']).toBe('Unknown/Running')
    expect(patch).not.toHaveProperty('failedAttempts')
  })

  it('is not counted either when the job is resumed before the pod has ended', () => {
    const status = withCondition(runningStatus(), aCondition('Admitted', 'False/Suspended'))
    const { patch } = decided({ job: aJob({ status }), ...ended, after: 30 })
    expect(patch).toMatchObject({ retryTime: at(30) })
    expect(patch).not.toHaveProperty('disruptedAttempts')
  })

  it('that finished just before completes the job', () => {
    const suspended = aJob({ status: runningStatus(), spec: { suspend: true } })
    const attempts = [anAttempt(anEndedPod(0))]
    const { conditions } = decided({ job: suspended, attempts, report: reported('Completed') })
    expect(conditions['Succeeded']).toBe('True/Completed')
  })
})
