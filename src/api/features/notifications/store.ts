import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { NotificationKind } from '../../../shared/wire/notifications.ts'

/** `_id` is the fact's id, a dot and the person's: in order of time, and a repetition hits it. */
export type NotificationRow = {
  readonly _id: string
  readonly userId: string
  readonly kind: NotificationKind
  readonly values: Readonly<Record<string, string>>
  readonly creationTimeMs: number
  readonly readTimeMs: number | null
}

export type NotificationQuery = {
  readonly userId: string
  readonly unreadOnly: boolean
  /** Ids below this one only. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** The only writer of the collection `notifications`. */
export type NotificationStore = {
  /** False when it was there before. */
  readonly insert: (row: NotificationRow) => Promise<boolean>
  readonly find: (id: string) => Promise<NotificationRow | null>
  /** Newest first. */
  readonly page: (query: NotificationQuery) => Promise<readonly NotificationRow[]>
  /** Oldest first. */
  readonly since: (
    userId: string,
    options: { readonly sinceMs: number; readonly limit: number },
  ) => Promise<readonly NotificationRow[]>
  /** Counts up to `countMax`. */
  readonly countUnread: (userId: string, countMax: number) => Promise<number>
  /** The first reading counts; null when it is not there or another person's. */
  readonly markRead: (userId: string, id: string, nowMs: number) => Promise<NotificationRow | null>
  readonly markAllRead: (userId: string, nowMs: number) => Promise<void>
  /** The number of those that went. */
  readonly removeBefore: (creationTimeMs: number) => Promise<number>
}

export function createNotificationStore(database: Database): NotificationStore {
  const notifications = database.documents<NotificationRow>('notifications')
  return {
    insert: notifications.insert,
    find: notifications.findById,
    page: async (query) =>
      await notifications.find(pageFilter(query), { sort: { _id: -1 }, limit: query.limit }),
    since: async (userId, { sinceMs, limit }) => {
      const filter = { userId, creationTimeMs: { $gte: sinceMs } }
      return await notifications.find(filter, { sort: { creationTimeMs: 1 }, limit })
    },
    countUnread: async (userId, countMax) =>
      await notifications.count({ userId, readTimeMs: null }, countMax),
    markRead: async (userId, id, nowMs) => {
      const unread = { _id: id, userId, readTimeMs: null }
      const changed = await notifications.findAndUpdate(unread, { $set: { readTimeMs: nowMs } })
      if (changed !== null) return changed
      const row = await notifications.findById(id)
      return row?.userId === userId ? row : null
    },
    markAllRead: async (userId, nowMs) => {
      const unread = { userId, readTimeMs: null }
      await notifications.updateMany(unread, { $set: { readTimeMs: nowMs } })
    },
    removeBefore: async (creationTimeMs) =>
      await notifications.removeMany({ creationTimeMs: { $lt: creationTimeMs } }),
  }
}

function pageFilter(query: NotificationQuery): mongo.Filter<NotificationRow> {
  const { userId, unreadOnly, beforeId } = query
  return {
    userId,
    ...(unreadOnly ? { readTimeMs: null } : {}),
    ...(beforeId === undefined ? {} : { _id: { $lt: beforeId } }),
  }
}
