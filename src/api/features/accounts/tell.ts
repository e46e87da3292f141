import { createHash } from 'node:crypto'
import { assert } from '../../../shared/assert.ts'
import { creditedTo, type Entry, sides } from '../../../shared/domain/account-entry.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import { sumOf } from '../../../shared/domain/account.ts'
import { accountOwnerOf } from '../../../shared/domain/caller.ts'
import { newJobId } from '../../../shared/domain/job-id.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { auditEntry } from '../audit-log/entry.ts'
import type { AuditLogStore } from '../audit-log/store.ts'
import { findAdmins } from '../departments/admins.ts'
import type { MovementParts } from './movement-parts.ts'
import type { MovementDocument } from './movement-store.ts'

type TellParts = Pick<MovementParts, 'notifier' | 'users'> & {
  readonly auditLog: Pick<AuditLogStore, 'append'>
}
type Ordered = Pick<MovementDocument, 'by' | 'action' | 'facts'>

/**
 * The ledger has the movement itself; the audit log says who wanted it and from where, and those
 * whose account it is are told. The ids follow from the entry: to do it again after a crash does
 * what is missing and nothing twice.
 */
export async function tellOf(
  { auditLog, ...parts }: TellParts,
  { by, action, facts }: Ordered,
  entry: Entry,
): Promise<void> {
  const shares = sharesOf(entry)
  const audited = shares.map(({ id, accountId, owner: { department }, credits }) => {
    const target = { kind: 'Account', id: accountId, department }
    const noted = { id, nowMs: entry.timeMs, by }
    return auditEntry(noted, { action, target, after: { credits, ...facts } })
  })
  await auditLog.append(audited)
  const kind = action === 'credits.revoked' ? 'CreditsRevoked' : 'CreditsReceived'
  for (const { id, owner, credits } of shares) {
    const { department, user } = owner
    const account = user === undefined ? 'Department' : 'Member'
    const values = { account, department, credits, reason: entry.note?.reason ?? '' } as const
    // Whoever did it knows.
    const told = (await idsOf(parts, owner)).filter((one) => one !== by.userId)
    for (const userId of told) await parts.notifier.notify({ id, userId, fact: { kind, values } })
  }
}

/** What an entry did to each account whose owner is told; of a distribution, to the recipients. */
function sharesOf(entry: Entry) {
  const changed = entry.kind === 'Distribute' ? recipientsOf(entry) : [entry.accountId]
  return changed.map((accountId) => {
    const owner = accountOwnerOf(accountId)
    assert(owner !== null, 'an account belongs to a department or a member')
    const arrived = creditedTo(entry, sides.incoming(accountId))
    const microCredits = entry.kind === 'Distribute' ? arrived : sumOf(entry.postings)
    const id = factId(entry, accountId)
    return { id, accountId, owner, credits: formatCredits(microCredits) }
  })
}

type Owner = ReturnType<typeof sharesOf>[number]['owner']

/** The member, or those who run the department. */
async function idsOf(
  { users }: Pick<TellParts, 'users'>,
  { department, user }: Owner,
): Promise<readonly string[]> {
  if (user !== undefined) return [user]
  return (await findAdmins(users, department)).map(({ _id }) => _id)
}

/** A ULID of a fact, the same whenever it is asked for. */
function factId({ _id, timeMs }: Entry, accountId: string): string {
  const digest = createHash('sha256').update(`${_id}:${accountId}`).digest()
  return newJobId(timeMs, (length) => digest.subarray(0, length))
}
