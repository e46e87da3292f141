import { timestamp } from '../../shared/clock.ts'
import type { GenerationJobStatus } from '../../shared/crd/generation-job.ts'
import { type AttemptOutcome, type AttemptState, isSuspending } from './attempt.ts'
import { isDisruption } from './checks.ts'
import { attemptFields, liveConditions, recorded } from './decide-live.ts'
import type { Decision } from './decision.ts'
import type { Observed } from './observed.ts'
import { condition, writeStatus } from './status.ts'
import { activeSecondsAfter, retryDelayMs } from './times.ts'

export type Ended = {
  readonly observed: Observed
  readonly state: Extract<AttemptState, { kind: 'Over' }>
  readonly outcome: AttemptOutcome
  readonly retryBaseMs: number
}

/** Draws the conclusions from an ended attempt that do not end the job. */
export function decideOver(ended: Ended): Decision {
  const suspending = isSuspending(ended.observed, ended.state.attempt)
  return suspending ? accountSuspension(ended) : accountFailure(ended)
}

function accountSuspension({ observed, state }: Ended): Decision {
  const conditions = [
    ...liveConditions(observed, state.attempt),
    condition({ type: 'PodsReady', status: 'False', reason: 'Ended' }),
  ]
  const fields = {
    ...attemptFields(observed, state.attempt, 'Suspended'),
    activeSeconds: activeSecondsAfter(observed.job, state, observed.nowMs),
    retryTime: timestamp(observed.nowMs),
  }
  const message = `Attempt ${state.attempt.number} was suspended.`
  return {
    actions: [
      ...writeStatus(observed, { conditions, fields }),
      recorded({ type: 'Normal', reason: 'Suspended', message }),
    ],
  }
}

/** One that never began lost nothing: the next one follows at once, and later ones do not. */
function pauseAfter({ observed, state, outcome, retryBaseMs }: Ended): number {
  const { failedAttempts = 0, disruptedAttempts = 0 } = observed.job.status ?? {}
  const failures = outcome.kind === 'Failed' ? failedAttempts : disruptedAttempts
  if (outcome.isUnbegun !== true) return retryDelayMs(failures + 1, retryBaseMs)
  // Those that were refused before are counted nowhere but in the number.
  const unlucky = state.attempt.number - 1 - failedAttempts
  return unlucky <= 0 ? 0 : retryDelayMs(unlucky, retryBaseMs)
}

function countedFields({ observed, outcome }: Ended): Partial<GenerationJobStatus> {
  const { failedAttempts = 0, disruptedAttempts = 0 } = observed.job.status ?? {}
  if (outcome.kind === 'Failed') return { failedAttempts: failedAttempts + 1 }
  return isDisruption(outcome) ? { disruptedAttempts: disruptedAttempts + 1 } : {}
}

function accountFailure(ended: Ended): Decision {
  const { observed, state, outcome } = ended
  const isOurs = outcome.kind === 'Failed'
  const delayMs = pauseAfter(ended)
  const message = `Attempt ${state.attempt.number}: ${outcome.message}`
  const fields: Partial<GenerationJobStatus> = {
    ...attemptFields(observed, state.attempt, isOurs ? 'Failed' : 'Disrupted'),
    ...countedFields(ended),
    // The pause counts against the deadline, because the job is active all the while.
    activeSeconds: activeSecondsAfter(observed.job, state, observed.nowMs + delayMs),
    retryTime: timestamp(observed.nowMs + delayMs),
  }
  const conditions = [
    ...liveConditions(observed, state.attempt),
    condition({ type: 'PodsReady', status: 'False', reason: 'BackingOff', message }),
  ]
  return {
    actions: [
      ...writeStatus(observed, { conditions, fields }),
      recorded({ type: 'Warning', reason: 'Retrying', message }),
    ],
  }
}
