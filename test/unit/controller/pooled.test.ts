import { describe, expect, it } from 'vitest'
import type { PooledView } from '../../../src/controller/generation-job/observed.ts'
import type { PoolAnswers } from '../../../src/controller/generation-job/pool-watcher.ts'
import {
  needsConfirmation,
  reportNeeded,
} from '../../../src/controller/generation-job/questions.ts'
import type { GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import {
  aCondition,
  aJob,
  anAttemptWithoutPod,
  at,
  createdMs,
  heldAnswer,
  observed,
  type ObservedOptions,
  output,
  reported,
  uid,
  withCondition,
} from './builders.ts'
import { decided } from './decided.ts'
import {
  answersAt,
  aPooledAttempt,
  assignedStatus,
  assigning,
  poolPod,
  slot,
} from './pooled-builders.ts'

const place = { kind: 'Slot', slot } as const
const assignment = {
  uid,
  jobId: uid,
  attempt: 1,
  model: 'demo',
  runner: 'runner-1',
  podUID: 'pod-9',
  pod: poolPod,
}

type Given = ObservedOptions & { readonly spec?: Partial<GenerationJobSpec> }

/** A job with a slot, whose pod is as given. */
function assigned(pooled: Partial<PooledView>, { spec, ...options }: Given = {}): ObservedOptions {
  const job = aJob({ status: assignedStatus(), ...(spec === undefined ? {} : { spec }) })
  return { job, attempts: [aPooledAttempt(pooled)], ...options }
}

function over(cause: PoolAnswers['cause']): Partial<PooledView> {
  return { answers: answersAt(10, { state: 'Over', cause }) }
}

describe('a job that gets a slot', () => {
  it('is told in one write who has it, before its pod is', () => {
    const { kinds, actions, patch, conditions, events } = decided({ hold: heldAnswer, place })
    expect(kinds).toEqual(['WriteStatus', 'Assign', 'RecordEvent'])
    expect(actions[1]).toEqual({ kind: 'Assign', assignment })
    const switching = { kind: 'Slot', slot: { ...slot, instead: 'other' } } as const
    const chosen = decided({ hold: heldAnswer, place: switching }).actions[1]
    expect(chosen).toEqual({ kind: 'Assign', assignment: { ...assignment, instead: 'other' } })
    const { pod: _, ...written } = slot
    expect(patch.attempt).toEqual({ number: 1, pool: 'warm', ...written })
    expect(conditions).toEqual({
      CreditsReserved: 'True/Reserved',
      Admitted: 'True/Admitted',
      ModelReady: 'True/Ready',
      PodsReady: 'False/Starting',
      Succeeded: 'Unknown/Running',
    })
    expect(events).toEqual(['Admitted'])
  })

  it('gets the next number after one in a pod of its own, and nothing of that stays', () => {
    const attempt = { number: 1, podUID: 'pod-1', startTime: at(2), outcome: 'Failed' } as const
    const status = assignedStatus({ attempt, retryTime: at(15), failedAttempts: 1 })
    const { patch } = decided({ job: aJob({ status }), place })
    expect(patch.attempt).toMatchObject({ number: 2, podUID: 'pod-9', startTime: null })
    expect(patch.attempt).toMatchObject({ outcome: null })
    expect(patch['retryTime']).toBeNull()
  })

  it('gets a pod of its own after one in a slot, and nothing of the slot stays', () => {
    const attempt = { ...assignedStatus().attempt, number: 1, outcome: 'Disrupted' } as const
    const status = assignedStatus({ attempt, retryTime: at(15), disruptedAttempts: 1 })
    const { kinds, patch } = decided({ job: aJob({ status }), place: { kind: 'Node' } })
    expect(kinds).toEqual(['CreateAttempt', 'WriteStatus', 'RecordEvent'])
    expect(patch.attempt).toMatchObject({ number: 2, pool: null, runner: null, podUID: null })
  })

  it.each([
    ['it is not held', { hold: undefined }],
    ['it is suspended', { job: aJob({ spec: { suspend: true } }), hold: heldAnswer }],
    ['its model is gone', { model: undefined, hold: heldAnswer }],
  ])('does not take it while %s', (_, options) => {
    expect(decided({ place, ...options }).kinds).not.toContain('Assign')
  })
})

describe('an attempt in a slot', () => {
  it('is handed over again by a controller that has just started', () => {
    const { kinds, actions } = decided(assigned({ answers: undefined }))
    expect(kinds).toEqual(['Assign'])
    expect(actions[0]).toEqual({ kind: 'Assign', assignment })
  })

  it('needs nothing while it is handed over', () => {
    expect(decided(assigned({ answers: assigning })).kinds).toEqual([])
  })

  it('is not told of while it might end in a moment, and is looked at again then', () => {
    const { kinds, recheckAfterMs } = decided(assigned({ answers: answersAt(19.5) }))
    expect([kinds, recheckAfterMs]).toEqual([[], 500])
  })

  it('is told of when it runs for longer', () => {
    const { kinds, patch, conditions } = decided(assigned({ answers: answersAt(19) }))
    expect(kinds).toEqual(['WriteStatus'])
    expect(patch.attempt).toEqual({ startTime: at(19) })
    expect(patch.startTime).toBe(at(19))
    expect(conditions['PodsReady']).toBe('True/Running')
  })

  it('keeps the start that was written when the controller starts anew', () => {
    const attempt = { ...assignedStatus().attempt, number: 1, startTime: at(3) }
    const status = withCondition(
      assignedStatus({ attempt, startTime: at(3) }),
      aCondition('PodsReady', 'True/Running', 'The pod of the current attempt runs.'),
    )
    const attempts = [aPooledAttempt({ answers: answersAt(19) })]
    expect(decided({ job: aJob({ status }), attempts }).kinds).toEqual([])
  })

  it('ends a Job of the same number that a stale cache has led to', () => {
    const [stray] = [anAttemptWithoutPod()]
    const { actions } = decided({
      ...assigned({ answers: assigning }),
      attempts: [{ ...stray, ...aPooledAttempt({ answers: assigning }) }],
    })
    expect(actions).toEqual([{ kind: 'DeleteAttempt', name: `gj-${uid}-a1`, uid: 'job-1' }])
  })
})

type State = readonly [
  name: string,
  pooled: Partial<PooledView>,
  /** What is done about it: nothing, asking for its end, or drawing the conclusion. */
  ends: 'Waits' | 'Cancels' | 'Concludes',
]

const states: readonly State[] = [
  ['nobody asks', { answers: undefined }, 'Cancels'],
  ['is handed over', { answers: assigning }, 'Cancels'],
  ['runs', {}, 'Cancels'],
  ['is silent', { answers: answersAt(10, { silentSinceMs: createdMs }) }, 'Cancels'],
  ['is being cancelled', { answers: answersAt(10, { isCancelling: true }) }, 'Waits'],
  ['is silent while it is cancelled', silentCancel(), 'Waits'],
  ['has a pod that no cache shows', { address: undefined, pod: 'Doubtful' }, 'Waits'],
  ['has a pod without a process', { pod: 'Doubtful' }, 'Cancels'],
  ['has a pod that has ended', { pod: 'Ended' }, 'Concludes'],
  ['has ended', over('Ended'), 'Concludes'],
  ['is not known to its pod', over('Unknown'), 'Concludes'],
  ['had a process that is gone', over('Restarted'), 'Concludes'],
  ['was refused', over('Refused'), 'Concludes'],
]

function silentCancel(): Partial<PooledView> {
  return { answers: answersAt(10, { silentSinceMs: createdMs, isCancelling: true }) }
}

const stops = [
  ['cancelled', { cancel: true }, 'False/Cancelled'],
  ['suspended', { suspend: true }, 'Unknown/Running'],
  ['over its deadline', { activeDeadlineSeconds: 5 }, 'False/DeadlineExceeded'],
] as const

/** Time counts from the moment at which the pod said that it has the job. */
const table = stops.flatMap(([stop, spec, verdict]) =>
  states
    .filter(([, pooled]) => stop !== 'over its deadline' || hasStarted(pooled))
    .map(([state, pooled, ends]) => ({ stop, spec, verdict, state, pooled, ends })),
)

describe('a job with a slot that is to stop', () => {
  it.each(table)('is $stop while its attempt $state: $ends', (row) => {
    const { spec, verdict, pooled, ends } = row
    const { kinds, actions, conditions } = decided(
      assigned(pooled, { spec, report: reported('Cancelled', [output]) }),
    )
    const cancels = actions.filter(({ kind }) => kind === 'CancelAssignment')
    expect(cancels).toEqual(ends === 'Cancels' ? [{ kind: 'CancelAssignment', assignment }] : [])
    expect(kinds).not.toContain('Assign')
    const isOver = kinds.includes('RecordEvent')
    expect(isOver).toBe(ends === 'Concludes')
    expect(isOver ? conditions['Succeeded'] : verdict).toBe(verdict)
  })

  it('concludes once the API server says that its pod is gone', () => {
    const gone = assigned({ address: undefined, pod: 'Doubtful' }, { spec: { cancel: true } })
    const options = { ...gone, confirmedGone: true, report: reported('nothing') }
    const { conditions, patch } = decided(options)
    expect(conditions['Succeeded']).toBe('False/Cancelled')
    expect(patch.attempt).toMatchObject({ outcome: 'Disrupted' })
  })

  it('does not conclude while the report cannot be read', () => {
    const { kinds } = decided(assigned(over('Ended'), { spec: { cancel: true } }))
    expect(kinds).toEqual([])
  })

  it('goes on ending when it was resumed meanwhile, also in a new controller', () => {
    const suspended = aCondition('Admitted', 'False/Suspended', 'spec.suspend is true.')
    const job = aJob({ status: withCondition(assignedStatus(), suspended) })
    const attempts = [aPooledAttempt({ answers: undefined })]
    expect(decided({ job, attempts }).kinds).toEqual(['CancelAssignment'])
  })

  it('is cancelled when its object is being deleted', () => {
    const job = aJob({ status: assignedStatus() })
    const metadata = { ...job.metadata, deletionTimestamp: at(15) }
    const deleted = { job: { ...job, metadata } }
    const running = decided({ ...deleted, attempts: [aPooledAttempt()] })
    expect(running.kinds).toEqual(['CancelAssignment'])
    expect(decided({ ...deleted, attempts: [aPooledAttempt(over('Ended'))] }).kinds).toEqual([])
  })
})

function hasStarted(pooled: Partial<PooledView>): boolean {
  return aPooledAttempt(pooled).pooled?.answers?.startedMs !== undefined
}

describe('the end of an attempt in a slot', () => {
  it('that is reported completes the job in one write, with its start', () => {
    const options = assigned(over('Ended'), { report: reported('Completed', [output]) })
    const { kinds, patch, conditions, events, outcome } = decided(options)
    expect(kinds).toEqual(['WriteStatus', 'RecordEvent'])
    expect(patch.attempt).toEqual({ startTime: at(10), outcome: 'Completed' })
    expect(patch).toMatchObject({ startTime: at(10), activeSeconds: 10, outputs: [output] })
    expect(conditions).toMatchObject({ Succeeded: 'True/Completed', PodsReady: 'False/Ended' })
    expect([events, outcome]).toEqual([['Completed'], 'Completed'])
  })

  it.each([
    ['Failed', 'Ended', { failedAttempts: 1, outcome: 'Failed' }],
    ['Cancelled', 'Ended', { disruptedAttempts: 1, outcome: 'Disrupted' }],
    ['nothing', 'Ended', { disruptedAttempts: 1, outcome: 'Disrupted' }],
    ['nothing', 'Restarted', { disruptedAttempts: 1, outcome: 'Disrupted' }],
    ['nothing', 'Unknown', { disruptedAttempts: 1, outcome: 'Disrupted' }],
    ['Failed', 'Unknown', { failedAttempts: 1, outcome: 'Failed' }],
  ] as const)('reported as %s, by a pod that says %s', (reason, cause, expected) => {
    const { outcome, ...counted } = expected
    const { patch, events } = decided(assigned(over(cause), { report: reported(reason) }))
    expect(patch).toMatchObject({ ...counted, attempt: { outcome } })
    expect(patch['retryTime']).toBe(at(30))
    expect(events).toEqual(['Retrying'])
  })

  it('is a success when the pod died right after it had reported', () => {
    const options = assigned({ pod: 'Ended' }, { report: reported('Completed', [output]) })
    expect(decided(options).conditions['Succeeded']).toBe('True/Completed')
  })

  it('that was refused is followed by the next one at once, and later ones by a pause', () => {
    const answers = { state: 'Over', cause: 'Refused', isCancelling: false } as const
    const report = reported('nothing')
    const first = decided(assigned({ answers }, { report }))
    expect(first.patch['retryTime']).toBe(at(20))
    const attempt = { ...assignedStatus().attempt, number: 2 }
    const job = aJob({ status: assignedStatus({ attempt }) })
    const second = decided({ job, attempts: [aPooledAttempt({ answers }, 2)], report })
    expect(second.patch['retryTime']).toBe(at(30))
  })

  it('that was refused is no disruption, however many there were', () => {
    const answers = { state: 'Over', cause: 'Refused', isCancelling: false } as const
    const job = aJob({ status: assignedStatus({ disruptedAttempts: 10 }) })
    const attempts = [aPooledAttempt({ answers })]
    const { patch, events } = decided({ job, attempts, report: reported('nothing') })
    expect(patch).not.toHaveProperty('disruptedAttempts')
    expect(patch.attempt).toMatchObject({ outcome: 'Disrupted' })
    expect(events).toEqual(['Retrying'])
  })

  it('is a disruption when the process is gone that may have begun it', () => {
    const answers = { state: 'Over', cause: 'Restarted', isCancelling: false } as const
    const { patch } = decided(assigned({ answers }, { report: reported('nothing') }))
    expect(patch).toMatchObject({ disruptedAttempts: 1, retryTime: at(20) })
  })

  it('ends the job when there were too many of its kind', () => {
    const job = aJob({ status: assignedStatus({ disruptedAttempts: 10 }) })
    const attempts = [aPooledAttempt(over('Restarted'))]
    const { messageOf, conditions } = decided({ job, attempts, report: reported('nothing') })
    expect(conditions['Succeeded']).toBe('False/BackoffLimitExceeded')
    expect(messageOf('Succeeded')).toContain('was restarted')
  })
})

function local(pooled: Partial<PooledView>) {
  return observed(assigned(pooled))
}

describe('what is asked about an attempt in a slot', () => {
  it.each([
    [true, 'no cache shows its pod', { address: undefined, pod: 'Doubtful' }],
    [true, 'its pod has no process', { pod: 'Doubtful' }],
    [true, 'the pod was silent for long', { answers: silentFrom(5) }],
    [false, 'the pod was silent for a moment', { answers: silentFrom(6) }],
    [false, 'it runs', {}],
    [false, 'it is over', { pod: 'Doubtful', ...over('Ended') }],
    [false, 'its pod has ended', { pod: 'Ended' }],
  ] as const)('of the API server, %s: %s', (asked, _, pooled) => {
    expect(needsConfirmation(local(pooled))).toBe(asked)
  })

  it('of the api is its report, when it is over', () => {
    expect(reportNeeded(local({}), false)).toBeUndefined()
    expect(reportNeeded(local(over('Ended')), false)).toBe(1)
    expect(reportNeeded(local({ pod: 'Doubtful' }), true)).toBe(1)
  })

  it('is asked again after a while when there is no answer', () => {
    const silent = decided(assigned({ answers: silentFrom(18) }, { after: 20 }))
    expect(silent.recheckAfterMs).toBe(13_000)
    expect(decided(assigned({ pod: 'Doubtful' })).recheckAfterMs).toBe(5000)
  })
})

function silentFrom(after: number): PoolAnswers {
  return { ...assigning, silentSinceMs: createdMs + after * 1000 }
}
