import { transferEntryId } from '../../../shared/domain/account-movement.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { RevocationRequest, RevocationView } from '../../../shared/wire/credits.ts'
import { requireAccount } from './account-views.ts'
import {
  findEarlier,
  movementIdOf,
  type MovementParts,
  noteBy,
  requireMoved,
  toBalanceView,
} from './movement-parts.ts'
import type { TransferOutcome } from './outcomes.ts'
import { tellOf } from './tell.ts'

/**
 * Takes unused credits back: from a person, also one who has left, to the department, or from the
 * department to the platform. What is held stays. Errors: `credits.account_not_found`,
 * `auth.forbidden`, `credits.insufficient` (details `missing`, `available`),
 * `credits.nothing_unused`, `idempotency.mismatch`.
 */
export async function makeRevocation(
  parts: MovementParts,
  { caller, key, request }: { caller: Caller; key: string; request: RevocationRequest },
): Promise<RevocationView> {
  requirePermission(caller, 'credits.revoke')
  const { department, user, reason } = request
  // Who has left has no say here any more, but an account.
  await requireAccount(parts, caller, { department, user })
  const departmentId = accountIdOf({ department })
  const accountId = accountIdOf({ department, user })
  if (user === undefined) requireSuperAdmin(caller)
  const revocation = {
    transferId: movementIdOf(caller, key, accountId),
    accountId,
    to: user === undefined ? null : departmentId,
    note: noteBy(caller, reason),
  }
  const entryId = transferEntryId({ ...revocation, kind: 'Revoke' })
  await findEarlier(parts, { ...revocation, entryId })
  const outcome = await revoke(parts, revocation, request.credits)
  const { sent, microCredits } = requireMoved(outcome)
  if (sent === null) throw nothingUnused()
  const done = { id: entryId, timeMs: sent.timeMs, reason: revocation.note.reason }
  const facts = { entry: entryId }
  const what = { action: 'credits.revoked', kind: 'CreditsRevoked', facts } as const
  await tellOf(parts, caller, [{ ...done, ...what, accountId, microCredits }])
  const { accounts } = parts
  return {
    id: entryId,
    credits: formatCredits(microCredits),
    department: toBalanceView(await accounts.balanceOf(departmentId)),
    member: user === undefined ? null : toBalanceView(await accounts.balanceOf(accountId)),
  }
}

type Revocation = Omit<Parameters<MovementParts['accounts']['recall']>[0], 'microCreditsMax'>

/** Both are one movement, so that one key never takes twice. */
async function revoke(
  { accounts }: MovementParts,
  { to, ...revocation }: Revocation,
  credits: string | undefined,
): Promise<TransferOutcome> {
  if (credits === undefined) {
    return await accounts.recall({ ...revocation, to, microCreditsMax: Number.MAX_SAFE_INTEGER })
  }
  const recipients = [{ accountId: to, microCredits: parseCredits(credits) }]
  return await accounts.transfer({ ...revocation, kind: 'Revoke', recipients })
}

function requireSuperAdmin({ role }: Caller): void {
  if (role === 'super_admin') return
  throw new AppError('auth.forbidden', 'only super admins take credits back from a department')
}

function nothingUnused(): AppError {
  return new AppError('credits.nothing_unused', 'there are no unused credits on this account')
}
