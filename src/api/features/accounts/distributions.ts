import { transferEntryId } from '../../../shared/domain/account-movement.ts'
import { assert } from '../../../shared/assert.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { type FieldError, invalidRequest } from '../../../shared/errors.ts'
import type { DistributionRequest, DistributionView } from '../../../shared/wire/credits.ts'
import {
  findEarlier,
  isActiveMember,
  movementIdOf,
  type MovementParts,
  noteBy,
  requireDepartment,
  requireMoved,
  toBalanceView,
} from './movement-parts.ts'
import { tellOf } from './tell.ts'

/**
 * Moves credits of a department to its members, all or nothing. Errors: `department.not_found`,
 * `request.invalid` naming each who is no active member or there twice, `credits.insufficient`
 * (details `missing`, `available`), `idempotency.mismatch`.
 */
export async function makeDistribution(
  parts: MovementParts,
  { caller, key, request }: { caller: Caller; key: string; request: DistributionRequest },
): Promise<DistributionView> {
  requirePermission(caller, 'credits.distribute')
  const { department, members, reason } = request
  await requireDepartment(parts, caller, department)
  refuse(repeatedMembers(request))
  const accountId = accountIdOf({ department })
  const transferId = movementIdOf(caller, key, accountId)
  const note = noteBy(caller, reason)
  const recipients = members.map(({ user, credits }) => {
    return { accountId: accountIdOf({ department, user }), microCredits: parseCredits(credits) }
  })
  const transfer = { transferId, kind: 'Distribute', accountId, recipients, note } as const
  const entryId = transferEntryId(transfer)
  const earlier = await findEarlier(parts, { accountId, entryId, note })
  if (earlier === null) refuse(await strangers(parts, request))
  const { sent, microCredits } = requireMoved(await parts.accounts.transfer(transfer))
  assert(sent !== null, 'a distribution moves something')
  const done = {
    action: 'credits.distributed',
    kind: 'CreditsReceived',
    timeMs: sent.timeMs,
    reason: note.reason,
    facts: { entry: entryId },
  } as const
  const moves = recipients.map((one) => ({ ...one, ...done, id: `${entryId}:${one.accountId}` }))
  await tellOf(parts, caller, moves)
  const { accounts } = parts
  const balances = await Promise.all(recipients.map((one) => accounts.balanceOf(one.accountId)))
  return {
    id: entryId,
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
