import { unreachable } from '../../../shared/assert.ts'
import type { Account } from '../../../shared/domain/account.ts'
import {
  endHold,
  type HoldCap,
  holdCredits,
  lapseCredits,
} from '../../../shared/domain/account-change.ts'
import {
  chargedBy,
  type Ending,
  endings,
  type Entry,
  entryId,
} from '../../../shared/domain/account-entry.ts'
import { type AccountOperation, type Decision, type Facts, unchanged } from './operation.ts'
import type { EndOutcome, HoldOutcome } from './outcomes.ts'

export type JobCredits = {
  readonly accountId: string
  readonly jobId: string
  readonly microCredits: number
}

export type HoldWish = JobCredits & { readonly cap?: HoldCap | undefined }

/** The pure parts of what jobs do to an account. */
export function holdOperation(request: HoldWish): AccountOperation<HoldOutcome> {
  const { accountId, jobId } = request
  return {
    accountId,
    entryIds: endingIdsOf(jobId),
    decide: (facts) => decideHold(facts, request),
  }
}

function decideHold({ account, past, context }: Facts, request: HoldWish): Decision<HoldOutcome> {
  if (endingOf(past, request.jobId) !== null) return unchanged({ kind: 'Ended' })
  const decision = holdCredits(account, request, context)
  switch (decision.kind) {
    case 'Held':
      return { outcome: { kind: 'Held', microCredits: request.microCredits }, change: decision }
    case 'AlreadyHeld':
      return unchanged({ kind: 'Held', microCredits: decision.hold.microCredits })
    case 'Insufficient':
    case 'HoldLimit':
    case 'OverCap':
      return unchanged(decision)
    default:
      return unreachable(decision)
  }
}

export function endOperation(ending: Ending, request: JobCredits): AccountOperation<EndOutcome> {
  const { accountId, jobId, microCredits } = request
  return {
    accountId,
    entryIds: endingIdsOf(jobId),
    decide: ({ account, past, context }) => {
      const decision = endHold(account, { jobId, ending, microCredits }, context)
      if (decision.kind === 'NoHold') return unchanged(endingOf(past, jobId) ?? { kind: 'Unknown' })
      const { chargedMicroCredits } = decision
      return { outcome: { kind: pastTense[ending], chargedMicroCredits }, change: decision }
    },
  }
}

export function lapseOperation(accountId: string): AccountOperation<boolean> {
  return {
    accountId,
    entryIds: () => [],
    decide: ({ account, context }) => {
      const change = lapseCredits(account, context)
      return { outcome: change !== null, change }
    },
  }
}

/** An open hold says by itself that nothing has ended it: then there is nothing to look up. */
function endingIdsOf(jobId: string) {
  return ({ holds }: Account) =>
    holds.some((hold) => hold.jobId === jobId)
      ? []
      : endings.map((ending) => entryId(jobId, ending))
}

const pastTense = { Settle: 'Settled', Void: 'Voided', Expire: 'Expired' } as const

function endingOf(past: ReadonlyMap<string, Entry>, jobId: string): EndOutcome | null {
  for (const ending of endings) {
    const entry = past.get(entryId(jobId, ending))
    if (entry !== undefined) {
      return { kind: pastTense[ending], chargedMicroCredits: chargedBy(entry) }
    }
  }
  return null
}
