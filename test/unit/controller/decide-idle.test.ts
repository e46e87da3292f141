import { describe, expect, it } from 'vitest'
import {
  aCondition,
  aJob,
  aModel,
  at,
  heldAnswer,
  holdAnswer,
  runningStatus,
  unreachable,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'

const admitted = { kind: 'Node' } as const

describe('a job at its first visit', () => {
  it('gets every condition at once, also when it must wait', () => {
    const { kinds, conditions, patch } = decided({ hold: heldAnswer })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions).toEqual({
      CreditsReserved: 'True/Reserved',
      Admitted: 'False/Queued',
      ModelReady: 'True/Ready',
      PodsReady: 'False/NotStarted',
      Succeeded: 'Unknown/Running',
    })
    expect(patch.observedGeneration).toBe(1)
    expect(patch.conditions?.every(({ observedGeneration }) => observedGeneration === 1)).toBe(true)
  })

  it('starts in one write when there is a place', () => {
    const { kinds, actions, conditions, patch, events } = decided({
      hold: heldAnswer,
      place: admitted,
    })
    expect(kinds).toEqual(['CreateAttempt', 'WriteStatus', 'RecordEvent'])
    expect(actions[0]).toMatchObject({ number: 1, gpus: 1 })
    expect(patch.attempt).toEqual({ number: 1 })
    expect(conditions).toMatchObject({ Admitted: 'True/Admitted', PodsReady: 'False/Starting' })
    expect(events).toEqual(['Admitted'])
  })
})

describe('a job without credits', () => {
  it.each([
    ['InsufficientCredits', 'False/InsufficientCredits'],
    ['HoldLimit', 'False/HoldLimit'],
  ] as const)('waits because of %s, with the message of the api', (reason, expected) => {
    const { kinds, conditions, messageOf, recheckAfterMs } = decided({
      hold: holdAnswer('Waiting', reason),
      place: admitted,
    })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions['CreditsReserved']).toBe(expected)
    expect(messageOf('CreditsReserved')).toBe(`the api says ${reason}`)
    expect(recheckAfterMs).toBe(5000)
  })

  it('is not written again while it waits for the same reason', () => {
    const first = decided({ hold: holdAnswer('Waiting', 'InsufficientCredits') })
    const job = aJob({ status: first.patch })
    const value = { state: 'Waiting', reason: 'InsufficientCredits', microCredits: 0 } as const
    const answer = { kind: 'Answered', value: { ...value, message: 'now 3 are missing' } } as const
    const again = decided({ job, hold: { answer, askAgainMs: 0 }, after: 90 })
    expect(again.kinds).toEqual([])
  })

  it('waits while the api is down and says what came instead of an answer', () => {
    const hold = { answer: unreachable, askAgainMs: 0 }
    const { kinds, conditions, messageOf } = decided({ hold, place: admitted })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions['CreditsReserved']).toBe('Unknown/Pending')
    expect(messageOf('CreditsReserved')).toBe('The api does not answer.')
  })

  it('keeps the reason it knows when the api goes down', () => {
    const first = decided({ hold: holdAnswer('Waiting', 'HoldLimit') })
    const hold = { answer: unreachable, askAgainMs: 0 }
    expect(decided({ job: aJob({ status: first.patch }), hold }).kinds).toEqual([])
  })
})

describe('a job whose model does not serve it', () => {
  it.each([
    [undefined, 'False/ModelNotFound', 'spec.modelRef.name'],
    [aModel({ tasks: ['Inpaint'] }), 'False/UnsupportedTask', 'spec.task'],
    [
      aModel({ visibility: 'Departments', departments: ['assembly'] }),
      'False/NotVisible',
      'visible',
    ],
    [aModel({}, 'False/DeliveryUnsupported'), 'False/ModelNotReady', 'the model’s own message'],
    [{ ...aModel(), status: undefined }, 'False/ModelNotReady', 'not Ready'],
  ])('waits and says why (%#)', (model, expected, words) => {
    const { kinds, conditions, messageOf } = decided({ model, hold: heldAnswer, place: admitted })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions['ModelReady']).toBe(expected)
    expect(messageOf('ModelReady')).toContain(words)
  })

  it('sees a model that is visible to its department', () => {
    const model = aModel({ visibility: 'Departments', departments: ['vision'] })
    expect(decided({ model, hold: heldAnswer }).conditions['ModelReady']).toBe('True/Ready')
  })
})

describe('a queued job', () => {
  const queued = decided({ hold: heldAnswer }).patch

  it('is not written again however the queue moves', () => {
    const job = aJob({ status: queued })
    expect(decided({ job, after: 3600 }).kinds).toEqual([])
  })

  it.each(['TooLarge', 'NoPool'] as const)('says no more when nothing can run it: %s', (cause) => {
    const place = { kind: 'Queued', cause } as const
    expect(decided({ hold: heldAnswer, place }).patch).toEqual(queued)
    const job = aJob({ status: queued })
    expect(decided({ job, place, after: 30 }).kinds).toEqual([])
  })

  it('starts when its turn comes, without asking for the hold again', () => {
    const { kinds } = decided({ job: aJob({ status: queued }), place: admitted })
    expect(kinds).toEqual(['CreateAttempt', 'WriteStatus', 'RecordEvent'])
  })

  it('comes back when it would have waited for too long', () => {
    const job = aJob({ status: queued, spec: { queueTimeoutSeconds: 50 } })
    expect(decided({ job, after: 20 }).recheckAfterMs).toBe(30_000)
  })

  it('moves lastTransitionTime only for the conditions that flip', () => {
    const { patch } = decided({ job: aJob({ status: queued }), place: admitted, after: 100 })
    const times = Object.fromEntries(
      (patch.conditions ?? []).map((each) => [each.type, each.lastTransitionTime]),
    )
    expect(times).toEqual({
      CreditsReserved: at(20),
      Admitted: at(100),
      ModelReady: at(20),
      PodsReady: at(20),
      Succeeded: at(20),
    })
  })
})

describe('a suspended job', () => {
  it('does not start although it has credits and a place', () => {
    const job = aJob({ spec: { suspend: true } })
    const { kinds, conditions } = decided({ job, hold: heldAnswer, place: admitted })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions).toMatchObject({
      CreditsReserved: 'True/Reserved',
      Admitted: 'False/Suspended',
      PodsReady: 'False/NotStarted',
    })
  })

  it('starts the next attempt when it is resumed', () => {
    const status = withCondition(
      runningStatus({ retryTime: at(20), activeSeconds: 10 }),
      aCondition('Admitted', 'False/Suspended'),
    )
    const { actions, patch } = decided({ job: aJob({ status }), place: admitted, after: 30 })
    expect(actions[0]).toMatchObject({ kind: 'CreateAttempt', number: 2 })
    expect(patch['retryTime']).toBeNull()
    expect(patch.attempt).toEqual({
      number: 2,
      podName: null,
      podUID: null,
      nodeName: null,
      startTime: null,
    })
  })
})

describe('a job that backs off', () => {
  const status = withCondition(
    runningStatus({ retryTime: at(40), failedAttempts: 1, activeSeconds: 30 }),
    aCondition('PodsReady', 'False/BackingOff', 'Attempt 1: it failed'),
  )

  it('waits for the end of its pause and writes nothing meanwhile', () => {
    const { kinds, recheckAfterMs } = decided({ job: aJob({ status }), place: admitted, after: 30 })
    expect(kinds).toEqual([])
    expect(recheckAfterMs).toBe(10_000)
  })

  it('starts the next attempt when the pause is over', () => {
    const { actions } = decided({ job: aJob({ status }), place: admitted, after: 40 })
    expect(actions[0]).toMatchObject({ kind: 'CreateAttempt', number: 2 })
  })

  it('queues again when others have the GPUs by then, and keeps saying what failed', () => {
    const { kinds, conditions, messageOf } = decided({ job: aJob({ status }), after: 41 })
    expect(kinds).toEqual(['WriteStatus'])
    expect(conditions['Admitted']).toBe('False/Queued')
    expect(messageOf('PodsReady')).toBe('Attempt 1: it failed')
  })
})

describe('a job that is deleted', () => {
  it('is left to garbage collection', () => {
    const job = aJob()
    const deleted = { ...job, metadata: { ...job.metadata, deletionTimestamp: at(5) } }
    expect(decided({ job: deleted, hold: heldAnswer, place: admitted }).kinds).toEqual([])
  })
})
