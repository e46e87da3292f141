import type { Database } from '../../platform/mongo/database.ts'
import { reach } from '../../platform/mongo/errors.ts'
import type { Migration } from '../../platform/mongo/migrate.ts'

/** Never change one that has been released: add the next number. */
export const migrations: readonly Migration[] = [
  { number: 1, name: 'jobs', up: indexJobs },
  { number: 2, name: 'ledger', up: indexLedger },
  { number: 3, name: 'uploads', up: indexUploads },
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

/** One after the other: the embedded database locks up on concurrent index builds. */
async function createIndexes(database: Database, indexes: readonly Index[]): Promise<void> {
  for (const { collection, name, keys } of indexes) {
    await reach(async () => {
      await database.native.collection(collection).createIndex({ ...keys }, { name })
    })
  }
}
