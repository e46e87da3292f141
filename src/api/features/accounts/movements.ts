import { sumOf, usableLots } from '../../../shared/domain/account.ts'
import { type Entry, sides } from '../../../shared/domain/account-entry.ts'
import {
  adjustCredits,
  adjustEntryId,
  issueCredits,
  issueEntryId,
  receiptEntryId,
  receiveCredits,
  sendCredits,
  takenBy,
  transferEntryId,
} from '../../../shared/domain/account-movement.ts'
import type {
  Adjustment,
  AdjustOutcome,
  Issue,
  IssueOutcome,
  Recall,
  Transfer,
  TransferOutcome,
} from './outcomes.ts'
import { type AccountOperation, type Facts, unchanged } from './operation.ts'

/** The pure parts of what moves credits without a job. A repeat finds the entry of its first. */
export function issueOperation(issue: Issue): AccountOperation<IssueOutcome> {
  const id = issueEntryId(issue.issueId)
  return {
    accountId: issue.accountId,
    entryIds: () => [id],
    decide: ({ account, past, context }) => {
      const earlier = past.get(id)
      if (earlier !== undefined) return unchanged(repeatedIssue(earlier, issue))
      const change = issueCredits(account, issue, context)
      if (change === null) return unchanged({ kind: 'TooManyLots' })
      return { outcome: { kind: 'Issued', timeMs: change.entry.timeMs }, change }
    },
  }
}

function repeatedIssue({ accountId, postings, timeMs }: Entry, issue: Issue): IssueOutcome {
  const [posting] = postings
  const isSame =
    accountId === issue.accountId &&
    posting?.microCredits === issue.microCredits &&
    posting.expiresMs === issue.expiresMs
  return isSame ? { kind: 'Issued', timeMs } : { kind: 'Mismatch' }
}

export function transferOperation(transfer: Transfer): AccountOperation<TransferOutcome> {
  const id = transferEntryId(transfer)
  return {
    accountId: transfer.accountId,
    entryIds: () => [id],
    decide: ({ account, past, context }) => {
      const earlier = past.get(id)
      if (earlier !== undefined) return unchanged(repeatedTransfer(earlier, transfer))
      const decision = sendCredits(account, transfer, context)
      if (decision.kind === 'Insufficient') return unchanged(decision)
      return { outcome: movedBy(decision.entry), change: decision }
    },
  }
}

function repeatedTransfer(earlier: Entry, { accountId: from, recipients }: Transfer) {
  const isSame = recipients.every(({ accountId, microCredits }) => {
    const side = accountId === null ? sides.issued : sides.incoming(accountId)
    return sumOf(earlier.postings.filter(({ credit }) => credit === side)) === microCredits
  })
  const isAll = sumOf(earlier.postings) === sumOf(recipients)
  const isFromHere = earlier.accountId === from
  return isFromHere && isSame && isAll ? movedBy(earlier) : ({ kind: 'Mismatch' } as const)
}

/** What there is when it is decided, not when it was asked for; moves nothing where nothing is. */
export function recallOperation(recall: Recall): AccountOperation<TransferOutcome> {
  const { transferId, accountId, to, microCreditsMax, note } = recall
  const kind = 'Revoke'
  const id = transferEntryId({ transferId, kind })
  return {
    accountId,
    entryIds: () => [id],
    decide: (facts) => {
      const earlier = facts.past.get(id)
      if (earlier !== undefined) {
        const isFromHere = earlier.accountId === accountId
        return unchanged(isFromHere ? movedBy(earlier) : { kind: 'Mismatch' })
      }
      const microCredits = Math.min(freeOf(facts), microCreditsMax)
      if (microCredits === 0) {
        return unchanged({ kind: 'Moved', microCredits: 0, sent: null })
      }
      const recipients = [{ accountId: to, microCredits }]
      const transfer = { transferId, kind, accountId, recipients, note } as const
      return transferOperation(transfer).decide(facts)
    },
  }
}

function freeOf({ account, context }: Facts): number {
  return sumOf(usableLots(account, context.nowMs))
}

function movedBy(sent: Entry): TransferOutcome {
  return { kind: 'Moved', microCredits: sumOf(sent.postings), sent }
}

/** The other half of a transfer: whoever finds it undone may do it. */
export function receiveOperation(accountId: string, sent: Entry): AccountOperation<null> {
  const id = receiptEntryId(sent, accountId)
  return {
    accountId,
    entryIds: () => [id],
    decide: ({ account, past, context }) => {
      if (past.has(id)) return unchanged(null)
      return { outcome: null, change: receiveCredits(account, sent, context) }
    },
  }
}

export function adjustOperation(adjustment: Adjustment): AccountOperation<AdjustOutcome> {
  const { accountId, entryId } = adjustment
  const id = adjustEntryId({ _id: entryId })
  return {
    accountId,
    entryIds: () => [id, entryId],
    decide: ({ account, past, context }) => {
      const [earlier, entry] = [past.get(id), past.get(entryId)]
      if (earlier !== undefined) return unchanged(repeatedAdjustment(earlier, adjustment))
      if (entry?.accountId !== account._id) return unchanged({ kind: 'UnknownEntry' })
      const { spent, expired } = takenBy(entry)
      if (adjustment.microCredits > spent + expired) {
        return unchanged({ kind: 'TooMuch', takenMicroCredits: spent + expired })
      }
      const change = adjustCredits(account, { ...adjustment, entry }, context)
      return { outcome: { kind: 'Adjusted', timeMs: change.entry.timeMs }, change }
    },
  }
}

function repeatedAdjustment(earlier: Entry, wish: Adjustment): AdjustOutcome {
  const [posting] = earlier.postings
  const isSame =
    earlier.accountId === wish.accountId &&
    sumOf(earlier.postings) === wish.microCredits &&
    posting?.expiresMs === wish.expiresMs
  return isSame ? { kind: 'Adjusted', timeMs: earlier.timeMs } : { kind: 'Mismatch' }
}
