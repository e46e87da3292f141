import { assert } from '../../../shared/assert.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { AuditEntry, AuditValues } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { AccountService } from '../accounts/service.ts'
import type { AccountStore } from '../accounts/store.ts'
import type { MovedCredits, Notice, Notifier } from '../notifications/contract.ts'
import type { UserStore } from '../users/store.ts'
import type { CreditRequestRow, CreditRequestStore } from './store.ts'

export type CreditRequestParts = {
  readonly requests: CreditRequestStore
  readonly accounts: Pick<AccountService, 'transfer' | 'issue'>
  readonly accountStore: Pick<AccountStore, 'readMany' | 'findEntries'>
  readonly users: Pick<UserStore, 'find' | 'findMany' | 'page'>
  readonly trail: AuditTrail
  readonly notifier: Notifier
  readonly clock: Clock
  readonly newId: () => string
}

type RequestFacts = Pick<CreditRequestRow, '_id' | 'for' | 'owner'>

export function auditOf(
  { trail }: Pick<CreditRequestParts, 'trail'>,
  { by, action, after }: { by: Caller | string; action: AuditAction; after: AuditValues },
  { _id, owner, for: account }: RequestFacts,
): AuditEntry {
  const target = { kind: 'CreditRequest', id: _id, department: owner.department }
  return trail.entry(by, { action, target, after: { ...after, for: account, user: owner.user } })
}

/** The account that the credits are for. */
export function accountOf({ for: account, owner }: Pick<CreditRequestRow, 'for' | 'owner'>) {
  return accountIdOf(account === 'Member' ? owner : { department: owner.department })
}

export function movedValues(
  { for: account, owner }: Pick<CreditRequestRow, 'for' | 'owner'>,
  moved: { readonly microCredits: number; readonly reason: string },
): MovedCredits {
  const credits = formatCredits(moved.microCredits)
  return { account, department: owner.department, credits, reason: moved.reason }
}

/** What a change of a row still owes to the audit log and to people; the sweep does it otherwise. */
export async function settleRow(
  { trail, requests, notifier }: Pick<CreditRequestParts, 'trail' | 'requests' | 'notifier'>,
  row: CreditRequestRow,
): Promise<void> {
  await trail.relay(requests, row)
  if (row.notices.length === 0) return
  for (const notice of row.notices) await notifier.notify(notice)
  await requests.dropNotices(row._id, [...new Set(row.notices.map(({ id }) => id))])
}

/** Of each kind, as for guests who wait. */
const toldMax = 10

/** For those who can decide: the super admins, and for a member the admins of the department. */
export async function noticesForDeciders(
  { users, newId }: Pick<CreditRequestParts, 'users' | 'newId'>,
  row: Pick<CreditRequestRow, '_id' | 'for' | 'owner' | 'microCredits' | 'reason'>,
): Promise<readonly Notice[]> {
  const { department, user } = row.owner
  const common = { rows: { kind: 'All' }, state: 'Active', limit: toldMax } as const
  const [ofDepartment, ofSite] = await Promise.all([
    row.for === 'Member' ? users.page({ ...common, role: 'department_admin', department }) : [],
    users.page({ ...common, role: 'super_admin' }),
  ])
  const id = newId()
  const values = { ...movedValues(row, row), requestId: row._id, userId: user }
  const deciders = [...ofDepartment, ...ofSite].filter(({ _id }) => _id !== user)
  assert(deciders.length <= 2 * toldMax, 'a row carries few notices')
  return deciders.map(({ _id: userId }) => {
    return { id, userId, fact: { kind: 'CreditsRequested', values } } as const
  })
}
