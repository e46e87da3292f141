import { issueEntryId } from '../../../shared/domain/account-movement.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { BalanceView, IssueRequest } from '../../../shared/wire/credits.ts'
import {
  expiryOf,
  findEarlier,
  isActiveMember,
  movementIdOf,
  type MovementParts,
  noteBy,
  requireDepartment,
  toBalanceView,
} from './movement-parts.ts'
import { tellOf } from './tell.ts'

/**
 * Gives credits to a department or to one of its people. The same key and body again issue
 * nothing. Errors: `department.not_found`, `user.not_found`, `request.invalid` for an expiry in
 * the past, `idempotency.mismatch`, `credits.too_many_lots`.
 */
export async function makeIssue(
  parts: MovementParts,
  { caller, key, request }: { caller: Caller; key: string; request: IssueRequest },
): Promise<BalanceView> {
  requirePermission(caller, 'credits.issue')
  const { department, user, credits, expiresTime, reason } = request
  const accountId = accountIdOf({ department, user })
  const issueId = movementIdOf(caller, key, accountId)
  const note = noteBy(caller, reason)
  const earlier = await findEarlier(parts, { accountId, entryId: issueEntryId(issueId), note })
  if (earlier === null) await requireOwner(parts, caller, request)
  const nowMs = earlier?.timeMs ?? parts.clock.nowMs()
  const expiresMs = expiryOf(expiresTime, nowMs)
  const microCredits = parseCredits(credits)
  const balance = await parts.accounts.issue({ accountId, issueId, microCredits, expiresMs, note })
  const done = {
    id: issueId,
    action: 'credits.issued',
    kind: 'CreditsReceived',
    facts: { expiresTime, issueId },
    timeMs: balance.issueTimeMs,
  } as const
  await tellOf(parts, caller, [{ ...done, accountId, microCredits, reason: note.reason }])
  return toBalanceView(balance)
}

async function requireOwner(
  parts: MovementParts,
  caller: Caller,
  { department, user }: IssueRequest,
): Promise<void> {
  await requireDepartment(parts, caller, department)
  if (user === undefined) return
  if (isActiveMember(await parts.users.find(user), department)) return
  throw new AppError('user.not_found', `${department} has no member ${user}`)
}
