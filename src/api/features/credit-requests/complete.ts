import { assert } from '../../../shared/assert.ts'
import { sumOf } from '../../../shared/domain/account.ts'
import { issueEntryId, transferEntryId } from '../../../shared/domain/account-movement.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import { accountIdOf } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { type AppError, isAppError } from '../../../shared/errors.ts'
import { findEntryOf, insufficient } from '../accounts/movement-parts.ts'
import type { AuditEntry } from '../audit-log/entry.ts'
import type { Notice } from '../notifications/contract.ts'
import { accountOf, type CreditRequestParts, movedValues, settleRow } from './parts.ts'
import type { CreditRequestRow, RequestDecision } from './store.ts'

export type Completion =
  | { readonly kind: 'Approved'; readonly row: CreditRequestRow }
  /** The credits are not there: the request waits again. */
  | { readonly kind: 'Refused'; readonly error: AppError }

type Approving = CreditRequestRow & {
  readonly decision: RequestDecision & {
    readonly microCredits: number
    readonly audit: AuditEntry
  }
}

/**
 * Does what was decided: moves the credits, then notes it. The movement has the request's id, so
 * that the approver, another one at the same time and the task after a crash may all do it: the
 * credits move once, and whoever comes later finds it done.
 */
export async function completeApproval(
  parts: CreditRequestParts,
  row: CreditRequestRow,
): Promise<Completion> {
  assert(isApproving(row), 'an approval says how much')
  const moved = (await findMovement(parts, row)) ?? (await move(parts, row))
  if (typeof moved !== 'number') {
    const guard = { states: ['Approving'], decidedMs: row.decision.timeMs } as const
    const nowMs = parts.clock.nowMs()
    await parts.requests.change(row._id, guard, { state: 'Waiting', decision: null, nowMs })
    return { kind: 'Refused', error: moved }
  }
  return { kind: 'Approved', row: await noteApproval(parts, row, moved) }
}

/** How much has moved for a request already; null when nothing has. */
export async function findMovement(
  { accountStore }: Pick<CreditRequestParts, 'accountStore'>,
  row: CreditRequestRow,
): Promise<number | null> {
  const entry = await findEntryOf({ accountStore }, movementOf(row))
  return entry === null ? null : movedBy(entry)
}

function movementOf({ _id, for: account, owner: { department } }: CreditRequestRow) {
  const accountId = accountIdOf({ department })
  const transfer = { transferId: _id, kind: 'Distribute' } as const
  return {
    accountId,
    entryId: account === 'Member' ? transferEntryId(transfer) : issueEntryId(_id),
  }
}

function movedBy({ postings }: Entry): number {
  return sumOf(postings)
}

/** Micro-credits, or why none could be moved. */
async function move(parts: CreditRequestParts, row: Approving): Promise<number | AppError> {
  return row.for === 'Member' ? await distribute(parts, row) : await issue(parts, row)
}

async function distribute(parts: CreditRequestParts, row: Approving): Promise<number | AppError> {
  const { microCredits, by } = row.decision
  const outcome = await parts.accounts.transfer({
    transferId: row._id,
    kind: 'Distribute',
    accountId: accountIdOf({ department: row.owner.department }),
    recipients: [{ accountId: accountOf(row), microCredits }],
    note: { by, reason: row.reason },
  })
  if (outcome.kind === 'Insufficient') return insufficient(outcome)
  if (outcome.kind === 'Moved') return outcome.microCredits
  // Somebody else moved another amount since we looked, for a decision that was taken back.
  const moved = await findMovement(parts, row)
  assert(moved !== null, 'an id that was used has an entry')
  return moved
}

async function issue(parts: CreditRequestParts, row: Approving): Promise<number | AppError> {
  const { microCredits, expiresMs, by } = row.decision
  const note = { by, reason: row.reason }
  const wish = { accountId: accountOf(row), issueId: row._id, microCredits, expiresMs, note }
  const done = parts.accounts.issue(wish).then(() => microCredits)
  return await done.catch((error: unknown) => {
    if (isAppError(error, 'credits.too_many_lots')) return error
    throw error
  })
}

/** The movement is a fact by now, even if the request was put back meanwhile. */
async function noteApproval(
  parts: CreditRequestParts,
  row: Approving,
  microCredits: number,
): Promise<CreditRequestRow> {
  const { requests, clock } = parts
  const { audit, ...decision } = row.decision
  const after = { ...audit.after, credits: formatCredits(microCredits) }
  const approved = await requests.change(
    row._id,
    { states: ['Approving', 'Waiting'] },
    {
      state: 'Approved',
      decision: { ...decision, microCredits },
      nowMs: clock.nowMs(),
      audit: { ...audit, after },
      notices: noticeFor(row, { id: audit._id, microCredits }),
    },
  )
  if (approved !== null) await settleRow(parts, approved)
  return approved ?? (await requests.find(row._id)) ?? row
}

function noticeFor(
  row: Approving,
  { id, microCredits }: { readonly id: string; readonly microCredits: number },
): readonly Notice[] {
  const { user: userId } = row.owner
  if (userId === row.decision.by) return []
  const values = { ...movedValues(row, { ...row, microCredits }), requestId: row._id }
  return [{ id, userId, fact: { kind: 'CreditRequestApproved', values } }]
}

function isApproving(row: CreditRequestRow): row is Approving {
  return typeof row.decision?.microCredits === 'number' && row.decision.audit !== undefined
}
