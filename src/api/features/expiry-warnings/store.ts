import type { Database } from '../../../platform/mongo/database.ts'
import type { Expiring, Warned } from './decide.ts'

/** What the owner of an account was told about lots that lapse. `_id` is the account's. */
export type WarningRow = {
  readonly _id: string
  readonly warned: readonly Warned[]
  /** The newest warning. */
  readonly factId: string
  /** Of UTC: one warning a day, and more for what lapses before the next day's. */
  readonly day: string
  readonly lots: readonly Expiring[]
  /** False until mails and notifications are stored. */
  readonly isTold: boolean
}

/** The only writer of the collection `expiryWarnings`. */
export type WarningStore = {
  readonly findMany: (accountIds: readonly string[]) => Promise<readonly WarningRow[]>
  /** In place of the row that was read; false when another replica was faster. */
  readonly replace: (before: WarningRow | undefined, row: WarningRow) => Promise<boolean>
  readonly setTold: (row: WarningRow) => Promise<void>
}

export function openWarningStore(database: Database): WarningStore {
  const warnings = database.documents<WarningRow>('expiryWarnings')
  return {
    findMany: async (ids) =>
      ids.length === 0
        ? []
        : await warnings.find({ _id: { $in: [...ids] } }, { limit: ids.length }),
    replace: async (before, row) => {
      if (before === undefined) return await warnings.insert(row)
      const { _id, ...fields } = row
      return await warnings.update({ _id, factId: before.factId }, { $set: fields })
    },
    setTold: async ({ _id, factId }) => {
      await warnings.update({ _id, factId }, { $set: { isTold: true } })
    },
  }
}
