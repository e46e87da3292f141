import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { parseCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { CreditApproval, CreditDecline } from '../../../shared/wire/credit-requests.ts'
import { expiryOf, isActiveMember } from '../accounts/movement-parts.ts'
import { completeApproval, findMovement, noteApproval } from './complete.ts'
import { alreadyDecided, findVisible } from './find.ts'
import { auditOf, type CreditRequestParts, movedValues, settleRow } from './parts.ts'
import type { CreditRequestRow, RequestChange, RequestDecision } from './store.ts'

type Deciding<Request> = {
  readonly caller: Caller
  readonly id: string
  readonly request: Request
}

/**
 * Gives what was asked for, or more or less, from the department's account to a member or as an
 * issue to a department. Of two at the same time the first counts, and both get its answer.
 * Errors: `credits.request_not_found`, `auth.forbidden`, `user.state` for who is no active member
 * any more, `request.invalid` for an expiry, `credits.request_decided`; and `credits.insufficient`
 * or `credits.too_many_lots`, after which the request waits as before.
 */
export async function approveRequest(
  parts: CreditRequestParts,
  { caller, id, request }: Deciding<CreditApproval>,
): Promise<CreditRequestRow> {
  requirePermission(caller, 'credits.distribute')
  const row = await findVisible(parts.requests, caller, id)
  requireDecider(caller, row)
  requireNotOwn(caller, row)
  const decision = decide(parts, { caller, id, request }, row)
  const claimed = row.state === 'Waiting' ? await claim(parts, row, decision) : row
  if (claimed.state === 'Approved') return claimed
  if (claimed.state !== 'Approving') throw alreadyDecided(claimed)
  const completion = await completeApproval(parts, claimed)
  if (completion.kind === 'Refused') throw completion.error
  return completion.row
}

/** The one decision that counts, this or another that was faster. */
async function claim(
  parts: CreditRequestParts,
  row: CreditRequestRow,
  decision: RequestDecision,
): Promise<CreditRequestRow> {
  await requireStillThere(parts, row)
  const { requests } = parts
  const change = { state: 'Approving', decision, nowMs: decision.timeMs } as const
  const claimed = await requests.change(row._id, { states: ['Waiting'] }, change)
  return claimed ?? (await requests.find(row._id)) ?? row
}

function decide(
  parts: CreditRequestParts,
  { caller, request: { credits, expiresTime } }: Deciding<CreditApproval>,
  row: CreditRequestRow,
): RequestDecision {
  if (row.for === 'Member' && expiresTime !== null) {
    const message = 'is only for a department: what a member gets keeps its expiry'
    throw invalidRequest([{ path: '/expiresTime', message }])
  }
  const timeMs = parts.clock.nowMs()
  const microCredits = credits === undefined ? row.microCredits : parseCredits(credits)
  const action = 'credits.request_approved' as const
  return {
    by: caller.userId,
    timeMs,
    microCredits,
    expiresMs: expiryOf(expiresTime, timeMs),
    reason: null,
    audit: auditOf(parts, { by: caller, action, after: {} }, row),
  }
}

/** A member's request is decided by who distributes, a department's by who issues. */
function requireDecider(caller: Caller, { for: account }: CreditRequestRow): void {
  requirePermission(caller, account === 'Member' ? 'credits.distribute' : 'credits.issue')
}

/**
 * A request is there so that somebody else looks at it: an admin who decided about their own would
 * only dress up a distribution to themselves. Super admins have nobody above them.
 */
function requireNotOwn(caller: Caller, { owner }: CreditRequestRow): void {
  if (caller.role === 'super_admin' || owner.user !== caller.userId) return
  throw new AppError('auth.forbidden', 'somebody else decides about your own request')
}

async function requireStillThere(
  { users }: CreditRequestParts,
  { for: account, owner: { department, user } }: CreditRequestRow,
): Promise<void> {
  if (account === 'Department' || isActiveMember(await users.find(user), department)) return
  throw new AppError('user.state', 'who asked is no active member of the department any more')
}

/** Errors: `credits.request_not_found`, `auth.forbidden`, `credits.request_decided`. */
export async function declineRequest(
  parts: CreditRequestParts,
  { caller, id, request: { reason } }: Deciding<CreditDecline>,
): Promise<CreditRequestRow> {
  requirePermission(caller, 'credits.distribute')
  const row = await findVisible(parts.requests, caller, id)
  requireDecider(caller, row)
  if (row.state === 'Declined') return row
  const action = 'credits.request_declined' as const
  const audit = auditOf(parts, { by: caller, action, after: {} }, row)
  const values = { ...movedValues(row, { ...row, reason }), requestId: id }
  const fact = { kind: 'CreditRequestDeclined', values } as const
  const { user: userId } = row.owner
  const notices = userId === caller.userId ? [] : [{ id: audit._id, userId, fact }]
  const decision = { ...endingBy(parts, caller), reason }
  const nowMs = decision.timeMs
  return await endRequest(parts, row, { state: 'Declined', decision, nowMs, audit, notices })
}

/** Errors: as `declineRequest`; only who asked withdraws. */
export async function withdrawRequest(
  parts: CreditRequestParts,
  { caller, id }: Omit<Deciding<never>, 'request'>,
): Promise<CreditRequestRow> {
  requirePermission(caller, 'credits.request')
  const row = await findVisible(parts.requests, caller, id)
  if (row.owner.user !== caller.userId) {
    throw new AppError('auth.forbidden', 'only who asked withdraws a request')
  }
  if (row.state === 'Withdrawn') return row
  const action = 'credits.request_withdrawn' as const
  const audit = auditOf(parts, { by: caller, action, after: {} }, row)
  const decision = { ...endingBy(parts, caller), reason: null }
  const nowMs = decision.timeMs
  return await endRequest(parts, row, { state: 'Withdrawn', decision, nowMs, audit })
}

function endingBy({ clock }: CreditRequestParts, { userId: by }: Caller) {
  return { by, timeMs: clock.nowMs(), microCredits: null, expiresMs: null }
}

/** Errors: `credits.request_decided`. */
export async function endRequest(
  parts: CreditRequestParts,
  row: CreditRequestRow,
  change: RequestChange,
): Promise<CreditRequestRow> {
  if (row.state !== 'Waiting') throw alreadyDecided(row)
  // An approval that was taken back may have moved the credits late: then that is what happened.
  const moved = await findMovement(parts, row)
  if (moved !== null) throw alreadyDecided(await noteApproval(parts, row, moved))
  const ended = await parts.requests.change(row._id, { states: ['Waiting'] }, change)
  if (ended === null) throw alreadyDecided((await parts.requests.find(row._id)) ?? row)
  await settleRow(parts, ended)
  return ended
}
