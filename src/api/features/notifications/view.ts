import type { NotificationView } from '../../../shared/wire/notifications.ts'
import type { NotificationRow } from './store.ts'

/** What its owner sees of a notification, in lists and on sockets. */
export function toNotificationView(row: NotificationRow): NotificationView {
  const { _id, kind, values, creationTimeMs, readTimeMs } = row
  return {
    id: _id,
    kind,
    values: { ...values },
    creationTime: new Date(creationTimeMs).toISOString(),
    readTime: readTimeMs === null ? null : new Date(readTimeMs).toISOString(),
  }
}
