import { transferEntryId } from '../../../shared/domain/account-movement.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { RevocationRequest, RevocationView } from '../../../shared/wire/credits.ts'
import { requireAccount } from './account-views.ts'
import { moveOnce, orderOf, type Wish } from './move-once.ts'
import { type MovementParts, noteBy, requireMoved, toBalanceView } from './movement-parts.ts'
import type { TransferOutcome } from './outcomes.ts'

/**
 * Takes unused credits back: from a person, also one who has left, to the department, or from the
 * department to the platform. What is held stays. Errors: `credits.account_not_found`,
 * `auth.forbidden`, `credits.insufficient` (details `missing`, `available`),
 * `credits.nothing_unused`, `idempotency.mismatch`.
 */
export async function makeRevocation(
  parts: MovementParts,
  wish: Wish<RevocationRequest>,
): Promise<RevocationView> {
  const { caller, request } = wish
  requirePermission(caller, 'credits.revoke')
  const { department, user, reason } = request
  // Who has left has no say here any more, but an account.
  await requireAccount(parts, caller, { department, user })
  if (user === undefined) requireSuperAdmin(caller)
  const order = orderOf('credits.revoked', wish)
  const departmentId = accountIdOf({ department })
  const revocation = {
    transferId: order.movementId,
    accountId: accountIdOf({ department, user }),
    to: user === undefined ? null : departmentId,
    note: noteBy(caller, reason),
  }
  const { accountId } = revocation
  const id = transferEntryId({ ...revocation, kind: 'Revoke' })
  const { accounts } = parts
  const { microCredits } = await moveOnce(parts, order, {
    accountId,
    entryId: id,
    facts: { entry: id },
    check: async () => undefined,
    move: async () => requireSome(await revoke(accounts, revocation, request.credits)),
  })
  return {
    id,
    credits: formatCredits(microCredits),
    department: toBalanceView(await accounts.balanceOf(departmentId)),
    member: user === undefined ? null : toBalanceView(await accounts.balanceOf(accountId)),
  }
}

type Accounts = MovementParts['accounts']
type Revocation = Omit<Parameters<Accounts['recall']>[0], 'microCreditsMax'>

async function revoke(
  accounts: Accounts,
  { to, ...revocation }: Revocation,
  credits: string | undefined,
): Promise<TransferOutcome> {
  if (credits === undefined) {
    return await accounts.recall({ ...revocation, to, microCreditsMax: Number.MAX_SAFE_INTEGER })
  }
  const recipients = [{ accountId: to, microCredits: parseCredits(credits) }]
  return await accounts.transfer({ ...revocation, kind: 'Revoke', recipients })
}

function requireSome(outcome: TransferOutcome) {
  const moved = requireMoved(outcome)
  if (moved.sent !== null) return moved
  throw new AppError('credits.nothing_unused', 'there are no unused credits on this account')
}

function requireSuperAdmin({ role }: Caller): void {
  if (role === 'super_admin') return
  throw new AppError('auth.forbidden', 'only super admins take credits back from a department')
}
