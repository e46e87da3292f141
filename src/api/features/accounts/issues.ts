import { issueEntryId } from '../../../shared/domain/account-movement.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { BalanceView, IssueRequest } from '../../../shared/wire/credits.ts'
import { moveOnce, orderOf, type Wish } from './move-once.ts'
import {
  isActiveMember,
  type MovementParts,
  noteBy,
  requireDepartment,
  requireFuture,
  toBalanceView,
  toMs,
} from './movement-parts.ts'

/**
 * Gives credits to a department or to one of its people. The same key and body again issue
 * nothing. Errors: `department.not_found`, `user.not_found`, `request.invalid` for an expiry in
 * the past, `idempotency.mismatch`, `credits.too_many_lots`.
 */
export async function makeIssue(
  parts: MovementParts,
  wish: Wish<IssueRequest>,
): Promise<BalanceView> {
  const { caller, request } = wish
  requirePermission(caller, 'credits.issue')
  const { department, user, credits, expiresTime, reason } = request
  const order = orderOf('credits.issued', wish)
  const { movementId: issueId } = order
  const accountId = accountIdOf({ department, user })
  const amount = { microCredits: parseCredits(credits), expiresMs: toMs(expiresTime) }
  const issue = { accountId, issueId, ...amount, note: noteBy(caller, reason) }
  await moveOnce(parts, order, {
    accountId,
    entryId: issueEntryId(issueId),
    facts: { expiresTime, issueId },
    check: async () => {
      await requireOwner(parts, caller, request)
      requireFuture(expiresTime, parts.clock.nowMs())
    },
    move: async () => await parts.accounts.issue(issue),
  })
  return toBalanceView(await parts.accounts.balanceOf(accountId))
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
