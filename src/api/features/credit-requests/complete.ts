import { assert } from '../../../shared/assert.ts'
import { sumOf } from '../../../shared/domain/account.ts'
import { issueEntryId, transferEntryId } from '../../../shared/domain/account-movement.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import { accountIdOf } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { type AppError, isAppError } from '../../../shared/errors.ts'
import { toTime } from '../accounts/account-views.ts'
import { insufficient } from '../accounts/movement-parts.ts'
import type { AuditEntry } from '../audit-log/entry.ts'
import type { Notice } from '../notifications/contract.ts'
import { accountOf, auditOf, type CreditRequestParts, movedValues, settleRow } from './parts.ts'
import type { CreditRequestRow, RequestDecision } from './store.ts'

export type Completion =
  | { readonly kind: 'Approved'; readonly row: CreditRequestRow }
  /** The credits are not there: the request waits again. */
  | { readonly kind: 'Refused'; readonly error: AppError }

type Approving = CreditRequestRow & {
  readonly decision: RequestDecision & {
    readonly by: string
    readonly microCredits: number
  }
}

/** So long a process may stand still between an approval and its movement, and die after it. */
const lateMs = 3_600_000

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
  const earlier = await findMovement(parts, row)
  const error = earlier === null ? await move(parts, row) : null
  if (error !== null) {
    await takeBack(parts, row)
    return { kind: 'Refused', error }
  }
  const moved = earlier ?? (await findMovement(parts, row))
  assert(moved !== null, 'what was moved has an entry')
  return { kind: 'Approved', row: await noteApproval(parts, row, moved) }
}

/** Others who try the same may move the credits yet, however late: that is looked for. */
async function takeBack({ requests, clock }: CreditRequestParts, { _id, decision }: Approving) {
  const guard = { states: ['Approving'], decidedMs: decision.timeMs } as const
  const nowMs = clock.nowMs()
  const waiting = { state: 'Waiting', decision: null } as const
  await requests.change(_id, guard, { ...waiting, nowMs, lateUntilMs: nowMs + lateMs })
}

/** The entry that gave what a request asked for; null when nothing has moved. */
export async function findMovement(
  parts: Pick<CreditRequestParts, 'accountStore'>,
  row: CreditRequestRow,
): Promise<Entry | null> {
  return (await findMovements(parts, [row])).get(row._id) ?? null
}

/** Of many requests, by their ids. */
export async function findMovements(
  { accountStore }: Pick<CreditRequestParts, 'accountStore'>,
  rows: readonly CreditRequestRow[],
): Promise<ReadonlyMap<string, Entry>> {
  const accounts = rows.map(({ owner: { department } }) => accountIdOf({ department }))
  const snapshots = await accountStore.readMany([...new Set(accounts)])
  const entries = await accountStore.findEntries([...snapshots.values()], rows.map(movementIdOf))
  return new Map(
    rows.flatMap((row) => {
      const entry = entries.get(movementIdOf(row))
      return entry === undefined ? [] : [[row._id, entry]]
    }),
  )
}

function movementIdOf({ _id, for: account }: CreditRequestRow): string {
  const transfer = { transferId: _id, kind: 'Distribute' } as const
  return account === 'Member' ? transferEntryId(transfer) : issueEntryId(_id)
}

/** Why nothing could be moved. Null: something was, perhaps another amount by somebody else. */
async function move(parts: CreditRequestParts, row: Approving): Promise<AppError | null> {
  return row.for === 'Member' ? await distribute(parts, row) : await issue(parts, row)
}

async function distribute(parts: CreditRequestParts, row: Approving): Promise<AppError | null> {
  const { microCredits, by } = row.decision
  const outcome = await parts.accounts.transfer({
    transferId: row._id,
    kind: 'Distribute',
    accountId: accountIdOf({ department: row.owner.department }),
    recipients: [{ accountId: accountOf(row), microCredits }],
    note: { by, reason: row.reason },
  })
  return outcome.kind === 'Insufficient' ? insufficient(outcome) : null
}

async function issue(parts: CreditRequestParts, row: Approving): Promise<AppError | null> {
  const { microCredits, expiresMs, by } = row.decision
  const note = { by, reason: row.reason }
  const wish = { accountId: accountOf(row), issueId: row._id, microCredits, expiresMs, note }
  const done = parts.accounts.issue(wish).then(() => null)
  return await done.catch((error: unknown) => {
    if (isAppError(error, 'credits.too_many_lots')) return error
    if (isAppError(error, 'idempotency.mismatch')) return null
    throw error
  })
}

/** The movement is the fact, whatever has become of the request since its approval began. */
export async function noteApproval(
  parts: CreditRequestParts,
  row: CreditRequestRow,
  moved: Entry,
): Promise<CreditRequestRow> {
  const { requests, clock } = parts
  assert(moved.note !== null, 'a movement of a request says by whom')
  const { by } = moved.note
  const microCredits = sumOf(moved.postings)
  // What a member gets keeps the expiry of its lots.
  const expiresMs = row.for === 'Member' ? null : (moved.postings[0]?.expiresMs ?? null)
  const audit = await auditApproval(parts, row, { by, microCredits, expiresMs })
  const approved = await requests.change(
    row._id,
    { states: ['Waiting', 'Approving', 'Declined', 'Withdrawn'] },
    {
      state: 'Approved',
      decision: { by, timeMs: moved.timeMs, microCredits, expiresMs, reason: null },
      nowMs: clock.nowMs(),
      audit,
      notices: noticeFor(row, { id: audit._id, by, microCredits }),
    },
  )
  if (approved !== null) await settleRow(parts, approved)
  return approved ?? (await requests.find(row._id)) ?? row
}

type Approval = {
  readonly by: string
  readonly microCredits: number
  readonly expiresMs: number | null
}

/** As the approver wrote it; of a movement that came late it says the same without its origin. */
async function auditApproval(
  parts: CreditRequestParts,
  row: CreditRequestRow,
  { by, microCredits, expiresMs }: Approval,
): Promise<AuditEntry> {
  const action = 'credits.request_approved'
  const after = { credits: formatCredits(microCredits), expiresTime: toTime(expiresMs) }
  if (row.decision?.audit !== undefined && row.decision.by === by) {
    const { audit } = row.decision
    return { ...audit, after: { ...audit.after, ...after } }
  }
  const person = await parts.users.find(by)
  const approver =
    person === null ? by : { userId: by, role: person.role, department: person.department }
  return auditOf(parts, { by: approver, action, after }, row)
}

function noticeFor(
  row: CreditRequestRow,
  { id, by, microCredits }: { readonly id: string } & Pick<Approval, 'by' | 'microCredits'>,
): readonly Notice[] {
  const { user: userId } = row.owner
  if (userId === by) return []
  const values = { ...movedValues(row, { ...row, microCredits }), requestId: row._id }
  return [{ id, userId, fact: { kind: 'CreditRequestApproved', values } }]
}

function isApproving(row: CreditRequestRow): row is Approving {
  return typeof row.decision?.by === 'string' && row.decision.microCredits !== null
}
