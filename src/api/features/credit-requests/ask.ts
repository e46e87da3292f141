import { createHash } from 'node:crypto'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { NewCreditRequest } from '../../../shared/wire/credit-requests.ts'
import { auditOf, type CreditRequestParts, noticesForDeciders, settleRow } from './parts.ts'
import type { CreditRequestRow, RequestChange } from './store.ts'

/** Of one person in a department. */
const waitingMax = 5

/**
 * Makes a request, once for a key. Errors: `auth.forbidden` for who asks for a department that is
 * not theirs to run, `credits.too_many_requests`, `idempotency.mismatch`.
 */
export async function askForCredits(
  parts: CreditRequestParts,
  { caller, key, request }: { caller: Caller; key: string; request: NewCreditRequest },
): Promise<CreditRequestRow> {
  requirePermission(caller, 'credits.request')
  requireRole(caller, request)
  const { requests } = parts
  const row = newRow(parts, caller, { ...request, id: requestIdOf(caller, key) })
  const isNew = await requests.insert(row)
  const asked = isNew ? row : ((await requests.find(row._id)) ?? row)
  requireSame(asked, request)
  return asked.state === 'Asking' ? await confirm(parts, caller, asked) : asked
}

/** Whoever asks at the same time counts this one too: rather none of them than one too many. */
async function confirm(
  parts: CreditRequestParts,
  caller: Caller,
  row: CreditRequestRow,
): Promise<CreditRequestRow> {
  const { requests } = parts
  const isOver = (await requests.countOpen(row.owner, waitingMax + 1)) > waitingMax
  if (isOver && (await requests.removeAsking(row._id))) throw tooMany()
  const change = isOver ? null : await toWaiting(parts, caller, row)
  const counted = change && (await requests.change(row._id, { states: ['Asking'] }, change))
  if (counted !== null) await settleRow(parts, counted)
  const found = counted ?? (await requests.find(row._id))
  // The same key at the same moment, or the task after a long pause, took it away.
  if (found === null || found.state === 'Asking') throw takenAway()
  return found
}

/** From then on it is seen and told of. */
async function toWaiting(
  parts: CreditRequestParts,
  by: Caller,
  row: CreditRequestRow,
): Promise<RequestChange> {
  const after = { credits: formatCredits(row.microCredits) }
  return {
    state: 'Waiting',
    decision: null,
    nowMs: parts.clock.nowMs(),
    audit: auditOf(parts, { by, action: 'credits.requested', after }, row),
    notices: await noticesForDeciders(parts, row),
  }
}

function requireRole({ role }: Caller, { for: account }: NewCreditRequest): void {
  if (account === 'Member' || role === 'department_admin' || role === 'super_admin') return
  throw new AppError('auth.forbidden', 'only department admins ask for their department')
}

function requestIdOf({ userId }: Caller, key: string): string {
  const text = JSON.stringify([userId, key])
  return `cr-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

function requireSame(earlier: CreditRequestRow, request: NewCreditRequest): void {
  const isSame =
    earlier.for === request.for &&
    earlier.reason === request.reason &&
    earlier.microCredits === parseCredits(request.credits)
  if (isSame) return
  throw new AppError('idempotency.mismatch', 'this key asked for other credits before')
}

function newRow(
  { clock }: CreditRequestParts,
  { department, userId: user }: Caller,
  { id: _id, credits, reason, for: account }: NewCreditRequest & { readonly id: string },
): CreditRequestRow {
  const nowMs = clock.nowMs()
  return {
    _id,
    for: account,
    owner: { department, user },
    microCredits: parseCredits(credits),
    reason,
    state: 'Asking',
    decision: null,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    auditOutbox: [],
    notices: [],
  }
}

function tooMany(): AppError {
  const message = `${waitingMax} of your requests wait: withdraw one first`
  return new AppError('credits.too_many_requests', message)
}

function takenAway(): AppError {
  return new AppError('platform.unavailable', 'this request is made elsewhere: try again')
}
