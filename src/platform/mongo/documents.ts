import type { mongo } from 'mongoose'
import type { Connection } from './connection.ts'
import { isDuplicateKey, isOnlyDuplicates } from './errors.ts'

export type Identified = { readonly _id: string }

export type FindOptions = {
  readonly sort?: Readonly<Record<string, 1 | -1>>
  /** Every read is bounded. */
  readonly limit: number
}

export type Update<T> = {
  readonly filter: mongo.Filter<T>
  readonly change: mongo.UpdateFilter<T>
}

/**
 * The few operations our stores use, each atomic on one document. All throw AppError
 * `platform.unavailable` when the database does not answer: the effect is then unknown.
 */
export type Documents<T extends Identified> = {
  /** False when a document with this `_id` or another unique key is there already. */
  readonly insert: (document: T) => Promise<boolean>
  /** Inserts those whose `_id` is free; false when some were not. */
  readonly insertMissing: (documents: readonly T[]) => Promise<boolean>
  readonly findById: (id: string) => Promise<T | null>
  readonly find: (filter: mongo.Filter<T>, options: FindOptions) => Promise<readonly T[]>
  readonly findIds: (filter: mongo.Filter<T>, limit: number) => Promise<readonly string[]>
  /** Counts up to `countMax` and then stops. */
  readonly count: (filter: mongo.Filter<T>, countMax: number) => Promise<number>
  /** True when a document matched the filter. */
  readonly update: (filter: mongo.Filter<T>, change: mongo.UpdateFilter<T>) => Promise<boolean>
  /**
   * One round trip for many updates, each of one document and each by itself. The number of those
   * whose filter matched: which ones, only another read can tell.
   */
  readonly updateEach: (updates: readonly Update<T>[]) => Promise<number>
  /** The changed document, or null when none matched. */
  readonly findAndUpdate: (
    filter: mongo.Filter<T>,
    change: mongo.UpdateFilter<T>,
  ) => Promise<T | null>
  /** True when a document was there. */
  readonly remove: (filter: mongo.Filter<T>) => Promise<boolean>
  /** Each by itself: after a crash some may be left, so it must be safe to repeat. */
  readonly updateMany: (filter: mongo.Filter<T>, change: mongo.UpdateFilter<T>) => Promise<void>
  /** As `updateMany`; the number of documents that went. */
  readonly removeMany: (filter: mongo.Filter<T>) => Promise<number>
}

export function wrapCollection<T extends Identified>(
  { current, reach }: Connection,
  name: string,
): Documents<T> {
  const collection = remember(current, (database) => database.collection<T>(name))
  const byId = remember(current, (database) => database.collection<Identified>(name))
  return {
    insert: async (document) => await reach(async () => await insert(byId(), document)),
    insertMissing: async (documents) =>
      await reach(async () => await insertMissing(byId(), documents)),
    findById: async (id) => await reach(async () => await byId().findOne<T>({ _id: id })),
    find: async (filter, { sort, limit }) =>
      await reach(async () => {
        const cursor = collection()
          .find<T>(filter)
          .limit(limit)
          .batchSize(limit + 1)
        return await (sort === undefined ? cursor : cursor.sort({ ...sort })).toArray()
      }),
    findIds: async (filter, limit) =>
      await reach(async () => {
        const options = { projection: { _id: 1 }, limit } as const
        return (await collection().find<Identified>(filter, options).toArray()).map(
          ({ _id }) => _id,
        )
      }),
    count: async (filter, countMax) =>
      countMax === 0
        ? 0
        : await reach(async () => await collection().countDocuments(filter, { limit: countMax })),
    update: async (filter, change) =>
      await reach(async () => (await collection().updateOne(filter, change)).matchedCount === 1),
    updateEach: async (updates) =>
      updates.length === 0
        ? 0
        : await reach(async () => {
            const operations = updates.map(({ filter, change }) => {
              return { updateOne: { filter, update: change } }
            })
            return (await collection().bulkWrite(operations, { ordered: false })).matchedCount
          }),
    findAndUpdate: async (filter, change) =>
      await reach(async () => {
        const options = { returnDocument: 'after' } as const
        const found = await collection().findOneAndUpdate(filter, change, options)
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- WithId<T> is T: T has _id
        return found as T | null
      }),
    remove: async (filter) =>
      await reach(async () => (await collection().deleteOne(filter)).deletedCount === 1),
    updateMany: async (filter, change) =>
      await reach(async () => void (await collection().updateMany(filter, change))),
    removeMany: async (filter) =>
      await reach(async () => (await collection().deleteMany(filter)).deletedCount),
  }
}

/** Opened once for each connection: a collection of the driver is not cheap. */
function remember<Opened>(
  current: Connection['current'],
  open: (database: mongo.Db) => Opened,
): () => Opened {
  let known: { readonly database: mongo.Db; readonly opened: Opened } | undefined
  return () => {
    const database = current()
    if (known?.database !== database) known = { database, opened: open(database) }
    return known.opened
  }
}

async function insert(collection: mongo.Collection<Identified>, document: Identified) {
  try {
    await collection.insertOne(document)
    return true
  } catch (error) {
    if (isDuplicateKey(error)) return false
    throw error
  }
}

async function insertMissing(
  collection: mongo.Collection<Identified>,
  documents: readonly Identified[],
): Promise<boolean> {
  try {
    await collection.insertMany(documents, { ordered: false })
    return true
  } catch (error) {
    if (isOnlyDuplicates(error)) return false
    throw error
  }
}
