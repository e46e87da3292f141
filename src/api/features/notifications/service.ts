import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import {
  type NotificationPage,
  type NotificationQuery,
  type NotificationView,
  unreadCountMax,
} from '../../../shared/wire/notifications.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import type { NotificationStore } from './store.ts'
import { toNotificationView } from './view.ts'

/** What people do with their own notifications. */
export type NotificationService = {
  /** Newest first. */
  readonly list: (caller: Caller, query: NotificationQuery) => Promise<NotificationPage>
  /** Reading it again changes nothing. Errors: `notification.not_found`. */
  readonly markRead: (caller: Caller, id: string) => Promise<NotificationView>
  readonly markAllRead: (caller: Caller) => Promise<void>
}

export function createNotificationService(
  notifications: NotificationStore,
  clock: Clock,
): NotificationService {
  return {
    list: async (caller, query) => {
      requirePermission(caller, 'notifications.read')
      return await listPage(notifications, caller.userId, query)
    },
    markRead: async (caller, id) => {
      requirePermission(caller, 'notifications.read')
      const row = await notifications.markRead(caller.userId, id, clock.nowMs())
      if (row !== null) return toNotificationView(row)
      throw new AppError('notification.not_found', 'you have no such notification')
    },
    markAllRead: async (caller) => {
      requirePermission(caller, 'notifications.read')
      await notifications.markAllRead(caller.userId, clock.nowMs())
    },
  }
}

async function listPage(
  notifications: NotificationStore,
  userId: string,
  { limit, cursor, unread: unreadOnly }: NotificationQuery,
): Promise<NotificationPage> {
  const beforeId = cursor === undefined ? undefined : decodeCursor(cursor)
  const rows = await notifications.page({ userId, unreadOnly, beforeId, limit: limit + 1 })
  const { items, next } = toPage(rows, limit, ({ _id }) => _id)
  return {
    items: items.map(toNotificationView),
    next,
    unread: await notifications.countUnread(userId, unreadCountMax),
  }
}
