import { unreachable } from '../../shared/assert.ts'
import { attemptState, type AttemptState, isUnseen } from './attempt.ts'
import { firstVerdict, knownOutcome, needsReport } from './checks.ts'
import { decideEnded } from './decide-ended.ts'
import { decideEnding } from './decide-ending.ts'
import { decideIdle } from './decide-idle.ts'
import { decideLive, endAttempt } from './decide-live.ts'
import { decideOver } from './decide-over.ts'
import { type Decision, nothing } from './decision.ts'
import { isTerminal } from './eligibility.ts'
import type { Observed } from './observed.ts'
import { recheckAfter } from './times.ts'
import { REPORT_RECHECK_MS, UNSEEN_RECHECK_MS } from '../limits.ts'

export type DecideSettings = { readonly allowCpu: boolean; readonly retryBaseMs: number }

/**
 * What to do about one GenerationJob, from everything that was observed: pure and total.
 * Deciding again after any prefix of the actions leads to the same end.
 */
export function decide(observed: Observed, settings: DecideSettings): Decision {
  const state = attemptState(observed)
  if (observed.job.metadata.deletionTimestamp !== undefined) return decideDeleted(observed, state)
  if (isTerminal(observed.job)) return decideEnded(observed)
  if (needsReport({ facts: observed, state }) && observed.report?.kind !== 'Answered') {
    // Without the report nobody knows how it ended and with what: wait for the api, however long.
    return { actions: [], recheckAfterMs: REPORT_RECHECK_MS }
  }
  if (state.kind === 'Live' && isUnseen(state.attempt)) {
    // The API server has it and the cache does not yet: what is not seen cannot be judged.
    return { actions: [], recheckAfterMs: UNSEEN_RECHECK_MS }
  }
  const outcome = knownOutcome(observed, state)
  const { place } = observed
  const verdict = firstVerdict({ facts: observed, state, outcome, place })
  if (verdict !== undefined) return decideEnding({ observed, state, verdict, outcome })
  return withRecheck(observed, state, decideGoingOn({ observed, state, outcome, settings }))
}

/**
 * Garbage collection ends the attempt's own Job; the api settles. There is no finalizer of ours.
 * Nobody but us tells a pool pod.
 */
function decideDeleted(observed: Observed, state: AttemptState): Decision {
  if (state.kind !== 'Live' || state.attempt.pooled === undefined) return nothing
  return { actions: endAttempt(observed, state.attempt) }
}

type GoingOn = {
  readonly observed: Observed
  readonly state: AttemptState
  readonly outcome: ReturnType<typeof knownOutcome>
  readonly settings: DecideSettings
}

function decideGoingOn({ observed, state, outcome, settings }: GoingOn): Decision {
  switch (state.kind) {
    case 'None':
    case 'Accounted':
      return decideIdle(observed, state, settings)
    case 'Live':
      return decideLive(observed, state.attempt)
    case 'Over':
      return outcome === undefined
        ? nothing
        : decideOver({ observed, state, outcome, retryBaseMs: settings.retryBaseMs })
    default:
      return unreachable(state)
  }
}

/** Whatever was decided, time alone may change the next decision. */
function withRecheck(observed: Observed, state: AttemptState, decision: Decision): Decision {
  return { ...decision, recheckAfterMs: recheckAfter(observed, state) }
}
