import type { Database } from '../../platform/mongo/database.ts'
import { reach } from '../../platform/mongo/errors.ts'
import type { Migration } from '../../platform/mongo/migrate.ts'
import { freeMembership } from '../../shared/domain/membership.ts'
import { AppError } from '../../shared/errors.ts'
import { emailIdentity, type Identity } from '../features/users/identities.ts'
import type { UserRow } from '../features/users/store.ts'

/** Never change one that has been released: add the next number. */
export const migrations: readonly Migration[] = [
  { number: 1, name: 'jobs', up: indexJobs },
  { number: 2, name: 'ledger', up: indexLedger },
  { number: 3, name: 'uploads', up: indexUploads },
  { number: 4, name: 'people', up: openDirectory },
  { number: 5, name: 'invitations', up: indexInvites },
  { number: 6, name: 'credit-requests', up: indexCreditRequests },
  { number: 7, name: 'ledger-of-lots', up: refuseOlderLedger },
  { number: 8, name: 'late-approvals', up: indexLateApprovals },
  { number: 9, name: 'credit-movements', up: indexCreditMovements },
]

type Index = { readonly collection: string; readonly name: string; readonly keys: Keys }
type Keys = Readonly<Record<string, 1 | -1>>

async function indexJobs(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'jobs', name: 'newest', keys: { creationTimeMs: -1, _id: -1 } },
    {
      collection: 'jobs',
      name: 'newest_of_user',
      keys: { 'owner.user': 1, creationTimeMs: -1, _id: -1 },
    },
    {
      collection: 'jobs',
      name: 'newest_of_department',
      keys: { 'owner.department': 1, creationTimeMs: -1, _id: -1 },
    },
    { collection: 'jobs', name: 'by_state', keys: { state: 1, updateTimeMs: 1 } },
  ])
}

async function indexLedger(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'entries', name: 'chain', keys: { accountId: 1, seq: 1 } },
    { collection: 'entries', name: 'by_job', keys: { jobId: 1 } },
  ])
}

async function indexUploads(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'uploads', name: 'by_attempt', keys: { jobId: 1, attempt: 1 } },
  ])
}

async function openDirectory(database: Database): Promise<void> {
  await completeUsers(database)
  await indexPeople(database)
}

/**
 * People of the first release had a role and a password, and no identity beside their row. Takes a
 * thousand of them; false when there was none.
 */
async function completeUsers(database: Database): Promise<boolean> {
  const users = database.documents<UserRow>('users')
  const identities = database.documents<Identity>('identities')
  const found = await users.find({ state: { $exists: false } }, { limit: 1000 })
  for (const { _id, email } of found) {
    const identity = { _id: emailIdentity(email), kind: 'Email', userId: _id } as const
    await identities.insert({ ...identity, creationTimeMs: 0 })
    await users.update({ _id }, { $set: { ...firstReleaseUser } })
  }
  return found.length > 0
}

const firstReleaseUser = {
  language: 'en',
  state: 'Active',
  membership: freeMembership,
  creationTimeMs: 0,
  updateTimeMs: 0,
  revision: 1,
  auditOutbox: [],
} as const satisfies Partial<UserRow>

async function indexPeople(database: Database): Promise<void> {
  const outboxes = ['users', 'apiKeys', 'departments', 'settings', 'invites', 'sessions']
  await createIndexes(database, [
    { collection: 'users', name: 'of_department', keys: { department: 1, _id: 1 } },
    { collection: 'users', name: 'by_role', keys: { role: 1, creationTimeMs: 1 } },
    { collection: 'users', name: 'with_errands', keys: { 'errands._id': 1 } },
    { collection: 'identities', name: 'of_user', keys: { userId: 1 } },
    { collection: 'sessions', name: 'of_user', keys: { userId: 1, _id: -1 } },
    { collection: 'sessions', name: 'by_end', keys: { expiresMs: 1 } },
    { collection: 'apiKeys', name: 'of_user', keys: { userId: 1, _id: -1 } },
    { collection: 'codes', name: 'by_end', keys: { expiresMs: 1 } },
    { collection: 'codeSends', name: 'by_end', keys: { expiresMs: 1 } },
    { collection: 'invites', name: 'of_department', keys: { department: 1, _id: 1 } },
    { collection: 'invites', name: 'by_end', keys: { expiresMs: 1 } },
    { collection: 'usedTickets', name: 'by_end', keys: { expiresMs: 1 } },
    { collection: 'notifications', name: 'of_user', keys: { userId: 1, _id: -1 } },
    { collection: 'notifications', name: 'by_age', keys: { creationTimeMs: 1 } },
    { collection: 'mails', name: 'by_state', keys: { state: 1, updateTimeMs: 1 } },
    { collection: 'pictures', name: 'of_user', keys: { 'owner.user': 1, creationTimeMs: 1 } },
    { collection: 'jobs', name: 'kept_until', keys: { keepUntilMs: 1 } },
    { collection: 'jobs', name: 'states_of_user', keys: { 'owner.user': 1, state: 1 } },
    {
      collection: 'jobs',
      name: 'states_of_department',
      keys: { 'owner.department': 1, state: 1 },
    },
    { collection: 'jobs', name: 'changes_of_user', keys: { 'owner.user': 1, updateTimeMs: 1 } },
    { collection: 'auditLog', name: 'of_department', keys: { 'target.department': 1, _id: -1 } },
    { collection: 'auditLog', name: 'of_target', keys: { 'target.id': 1, _id: -1 } },
    { collection: 'auditLog', name: 'of_actor', keys: { 'actor.id': 1, _id: -1 } },
    ...outboxes.map((collection) => ({
      collection,
      name: 'unrelayed',
      keys: { 'auditOutbox._id': 1 } as const,
    })),
  ])
}

async function indexInvites(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'invites', name: 'of_address', keys: { emailKey: 1, _id: 1 } },
  ])
  // The step before takes a thousand people. It ends: whoever was taken has a state.
  while (await completeUsers(database));
}

async function indexCreditRequests(database: Database): Promise<void> {
  const collection = 'creditRequests'
  const newest = { creationTimeMs: -1, _id: -1 } as const
  await createIndexes(database, [
    { collection, name: 'newest', keys: newest },
    { collection, name: 'of_department', keys: { 'owner.department': 1, ...newest } },
    { collection, name: 'of_user', keys: { 'owner.user': 1, state: 1 } },
    { collection, name: 'by_state', keys: { state: 1, updateTimeMs: 1 } },
    { collection, name: 'unrelayed', keys: { 'auditOutbox._id': 1 } },
    { collection, name: 'with_notices', keys: { 'notices.id': 1 } },
  ])
}

/**
 * Entries of development states before lots cannot be audited, and nobody was charged by them.
 * @throws AppError platform.misconfigured
 */
async function refuseOlderLedger(database: Database): Promise<void> {
  const accounts = database.documents<{ readonly _id: string }>('accounts')
  const older = await accounts.findIds({ 'totals.received': { $exists: false } }, 1)
  if (older.length === 0) return
  const message = 'the credits in this database are of an older development state: use an empty one'
  throw new AppError('platform.misconfigured', message)
}

async function indexLateApprovals(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'creditRequests', name: 'taken_back', keys: { lateUntilMs: 1 } },
  ])
}

async function indexCreditMovements(database: Database): Promise<void> {
  await createIndexes(database, [
    { collection: 'creditMovements', name: 'untold', keys: { toldTimeMs: 1, tryTimeMs: 1 } },
  ])
}

/** One after the other: the embedded database locks up on concurrent index builds. */
async function createIndexes(database: Database, indexes: readonly Index[]): Promise<void> {
  for (const { collection, name, keys } of indexes) {
    await reach(async () => {
      await database.native.collection(collection).createIndex({ ...keys }, { name })
    })
  }
}
