import type { Clock } from '../../../shared/clock.ts'
import type { Notifier } from './contract.ts'
import type { NotificationEvents } from './events.ts'
import type { NotificationStore } from './store.ts'

export type NotifierParts = {
  readonly notifications: NotificationStore
  readonly events: NotificationEvents
  readonly clock: Clock
}

/** The row is the truth; the event only makes open sockets look sooner. */
export function createNotifier({ notifications, events, clock }: NotifierParts): Notifier {
  return {
    notify: async ({ id, userId, fact }) => {
      const row = {
        _id: `${id}.${userId}`,
        userId,
        kind: fact.kind,
        values: { ...fact.values },
        creationTimeMs: clock.nowMs(),
        readTimeMs: null,
      }
      if (await notifications.insert(row)) events.publish(userId, row._id)
    },
  }
}

const keptMs = 90 * 24 * 3600 * 1000

/** Takes away what is older than 90 days, read or not; the number of those that went. */
export async function forgetNotifications(
  notifications: Pick<NotificationStore, 'removeBefore'>,
  nowMs: number,
): Promise<number> {
  return await notifications.removeBefore(nowMs - keptMs)
}
