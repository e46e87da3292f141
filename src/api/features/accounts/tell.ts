import { createHash } from 'node:crypto'
import { assert } from '../../../shared/assert.ts'
import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import { accountOwnerOf, type Caller } from '../../../shared/domain/caller.ts'
import { newJobId } from '../../../shared/domain/job-id.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { auditEntry, type AuditValues } from '../audit-log/entry.ts'
import type { AuditLogStore } from '../audit-log/store.ts'
import type { UserStore } from '../users/store.ts'
import type { MovementParts } from './movement-parts.ts'

/** Of each kind; whoever else may know sees it in the ledger. */
const toldMax = 10

/** What a movement did to one account. */
export type DoneMovement = {
  /** The same at every repetition, and another for each account. */
  readonly id: string
  readonly action: AuditAction
  readonly kind: 'CreditsReceived' | 'CreditsRevoked'
  readonly accountId: string
  readonly microCredits: number
  readonly reason: string
  readonly timeMs: number
  /** For the audit log, beside the credits. */
  readonly facts: AuditValues
}

type TellParts = Pick<MovementParts, 'notifier' | 'users'> & {
  readonly auditLog: Pick<AuditLogStore, 'append'>
}

/**
 * The ledger has the movement itself; the audit log says who wanted it and from where, and those
 * whose account it is are told. One id for one movement: a request that is repeated after a crash
 * does what is missing and nothing twice.
 */
export async function tellOf(
  { auditLog, ...parts }: TellParts,
  by: Caller,
  movements: readonly DoneMovement[],
): Promise<void> {
  await auditLog.append(movements.map((one) => entryOf(by, one)))
  for (const one of movements) await tellOwner(parts, by, one)
}

function entryOf(by: Caller, movement: DoneMovement) {
  const { action, accountId, microCredits, timeMs, facts } = movement
  const target = { kind: 'Account', id: accountId, department: ownerOf(accountId).department }
  const after = { credits: formatCredits(microCredits), ...facts }
  return auditEntry({ id: factId(movement), nowMs: timeMs, by }, { action, target, after })
}

/** Whoever did it knows. */
async function tellOwner(
  { notifier, users }: Pick<MovementParts, 'notifier' | 'users'>,
  by: Caller,
  movement: DoneMovement,
): Promise<void> {
  const { kind, accountId, microCredits, reason } = movement
  const { department, user } = ownerOf(accountId)
  const account = user === undefined ? 'Department' : 'Member'
  const values = { account, department, credits: formatCredits(microCredits), reason } as const
  const told = user === undefined ? await adminsOf(users, department) : [user]
  for (const userId of told.filter((one) => one !== by.userId)) {
    await notifier.notify({ id: factId(movement), userId, fact: { kind, values } })
  }
}

/** Ids of those who run a department. */
async function adminsOf(
  users: Pick<UserStore, 'page'>,
  department: string,
): Promise<readonly string[]> {
  const role = 'department_admin' as const
  const query = {
    rows: { kind: 'All' },
    state: 'Active',
    role,
    department,
    limit: toldMax,
  } as const
  return (await users.page(query)).map(({ _id }) => _id)
}

/** A ULID of a fact, the same whenever it is asked for. */
export function factId({ id, timeMs }: Pick<DoneMovement, 'id' | 'timeMs'>): string {
  const digest = createHash('sha256').update(id).digest()
  return newJobId(timeMs, (length) => digest.subarray(0, length))
}

function ownerOf(accountId: string) {
  const owner = accountOwnerOf(accountId)
  assert(owner !== null, 'an account belongs to a department or a member')
  return owner
}
