import { unreachable } from '../../../shared/assert.ts'
import type { Account } from '../../../shared/domain/account.ts'
import {
  type Ending,
  endings,
  type Entry,
  chargedBy,
  entryId,
} from '../../../shared/domain/account-entry.ts'
import {
  endHold,
  type HoldCap,
  holdCredits,
  issueCredits,
  lapseCredits,
} from '../../../shared/domain/account-change.ts'
import type { EndOutcome, HoldOutcome, Issue, IssueOutcome } from './outcomes.ts'
import { entryIdsOf } from './store.ts'
import type { AccountOperation, Decision, Facts } from './writer.ts'

/** The pure parts of each account operation: a repeat finds the entry of its first effect. */
export function issueOperation(issue: Issue): AccountOperation<IssueOutcome> {
  const id = `issue:${issue.issueId}`
  return {
    accountId: issue.accountId,
    entryIds: [id],
    decide: ({ account, past, context }) => {
      const earlier = past.get(id)
      if (earlier !== undefined) return unchanged(repeatOf(earlier, account, issue))
      const change = issueCredits(account, issue, context)
      return { outcome: { kind: 'Issued', timeMs: change.entry.timeMs }, change }
    },
  }
}

/** A lot that is spent or lapsed cannot be compared by its expiry any more. */
function repeatOf(earlier: Entry, { lots }: Account, issue: Issue): IssueOutcome {
  const lot = lots.find(({ id }) => id === issue.issueId)
  const isSameAmount = earlier.postings[0]?.microCredits === issue.microCredits
  const isSameExpiry = lot === undefined || lot.expiresMs === issue.expiresMs
  if (!isSameAmount || !isSameExpiry) return { kind: 'Mismatch' }
  return { kind: 'Issued', timeMs: earlier.timeMs }
}

export type JobCredits = {
  readonly accountId: string
  readonly jobId: string
  readonly microCredits: number
}

export type HoldWish = JobCredits & { readonly cap?: HoldCap | undefined }

export function holdOperation(request: HoldWish): AccountOperation<HoldOutcome> {
  const { accountId, jobId } = request
  return { accountId, entryIds: entryIdsOf(jobId), decide: (facts) => decideHold(facts, request) }
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
    entryIds: entryIdsOf(jobId),
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
    entryIds: [],
    decide: ({ account, context }) => {
      const change = lapseCredits(account, context)
      return { outcome: change !== null, change }
    },
  }
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

function unchanged<Outcome>(outcome: Outcome): Decision<Outcome> {
  return { outcome, change: null }
}
