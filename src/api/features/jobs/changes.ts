import type { Database } from '../../../platform/mongo/database.ts'
import type { JobRow } from './row.ts'

export type ChangesQuery = {
  readonly userId: string
  /** Rows written at this moment or later. */
  readonly sinceMs: number
  readonly limit: number
}

/** Reads rows for those who watch many jobs at once; whoever shows them checks who may see them. */
export type JobChanges = {
  /** Those that are there, in any order, some at a time. */
  readonly rows: (jobIds: readonly string[]) => AsyncGenerator<readonly JobRow[], void, undefined>
  /** A person's accepted jobs, the oldest change first. */
  readonly since: (query: ChangesQuery) => Promise<readonly JobRow[]>
  /** A person's accepted jobs, the newest first. */
  readonly newest: (userId: string, limit: number) => Promise<readonly JobRow[]>
}

/** Before that a job may vanish again, as when its credits are missing: nobody is told of it. */
const isAccepted = { state: { $ne: 'Accepting' } } as const
/** The database answers so many rows at once, and more in a second round trip. */
const rowsPerReadMax = 100

export function openJobChanges(database: Database): JobChanges {
  const jobs = database.documents<JobRow>('jobs')
  return {
    rows: async function* (jobIds) {
      for (let from = 0; from < jobIds.length; from += rowsPerReadMax) {
        const some = jobIds.slice(from, from + rowsPerReadMax)
        yield await jobs.find({ _id: { $in: some } }, { limit: some.length })
      }
    },
    since: async ({ userId, sinceMs, limit }) => {
      const filter = { ...isAccepted, 'owner.user': userId, updateTimeMs: { $gte: sinceMs } }
      return await jobs.find(filter, { sort: { updateTimeMs: 1 }, limit })
    },
    newest: async (userId, limit) => {
      const filter = { ...isAccepted, 'owner.user': userId }
      return await jobs.find(filter, { sort: { creationTimeMs: -1, _id: -1 }, limit })
    },
  }
}
