import { transferEntryId } from '../../../shared/domain/account-movement.ts'
import { accountIdOf } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { type FieldError, invalidRequest } from '../../../shared/errors.ts'
import type { DistributionRequest, DistributionView } from '../../../shared/wire/credits.ts'
import { moveOnce, orderOf, type Wish } from './move-once.ts'
import {
  isActiveMember,
  type MovementParts,
  noteBy,
  requireDepartment,
  requireMoved,
  toBalanceView,
} from './movement-parts.ts'

/**
 * Moves credits of a department to its members, all or nothing. Errors: `department.not_found`,
 * `request.invalid` naming each who is no active member or there twice, `credits.insufficient`
 * (details `missing`, `available`), `idempotency.mismatch`.
 */
export async function makeDistribution(
  parts: MovementParts,
  wish: Wish<DistributionRequest>,
): Promise<DistributionView> {
  const { caller, request } = wish
  requirePermission(caller, 'credits.distribute')
  const { department, members, reason } = request
  await requireDepartment(parts, caller, department)
  refuse(repeatedMembers(request))
  const order = orderOf('credits.distributed', wish)
  const accountId = accountIdOf({ department })
  const recipients = members.map(({ user, credits }) => {
    return { accountId: accountIdOf({ department, user }), microCredits: parseCredits(credits) }
  })
  const note = noteBy(caller, reason)
  const { movementId: transferId } = order
  const transfer = { transferId, kind: 'Distribute', accountId, recipients, note } as const
  const id = transferEntryId(transfer)
  const { microCredits } = await moveOnce(parts, order, {
    accountId,
    entryId: id,
    facts: { entry: id },
    check: async () => refuse(await strangers(parts, request)),
    move: async () => requireMoved(await parts.accounts.transfer(transfer)),
  })
  const { accounts } = parts
  const balances = await Promise.all(recipients.map((one) => accounts.balanceOf(one.accountId)))
  return {
    id,
    credits: formatCredits(microCredits),
    department: toBalanceView(await accounts.balanceOf(accountId)),
    members: balances.map(toBalanceView),
  }
}

function refuse(faults: readonly FieldError[]): void {
  if (faults.length > 0) throw invalidRequest(faults)
}

function repeatedMembers({ members }: DistributionRequest): readonly FieldError[] {
  const users = members.map(({ user }) => user)
  return users.flatMap((user, index) =>
    users.indexOf(user) === index ? [] : [{ path: pathOf(index), message: 'is there twice' }],
  )
}

/** The same sentence for who is elsewhere and who is nobody. */
async function strangers(
  { users }: MovementParts,
  { department, members }: DistributionRequest,
): Promise<readonly FieldError[]> {
  const found = await users.findMany(members.map(({ user }) => user))
  const active = new Set(
    found.filter((one) => isActiveMember(one, department)).map(({ _id }) => _id),
  )
  const message = 'is not an active member of the department'
  return members.flatMap(({ user }, index) =>
    active.has(user) ? [] : [{ path: pathOf(index), message }],
  )
}

function pathOf(index: number): string {
  return `/members/${index}/user`
}
