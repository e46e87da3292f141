import type { PubSub } from '../../../platform/redis/pub-sub.ts'

/** Says that a person has a new notification; receivers read it by its id. May get lost. */
export type NotificationEvents = {
  readonly publish: (userId: string, id: string) => void
  readonly onUser: (
    userId: string,
    listener: (id: string) => void,
  ) => { readonly close: () => void }
}

export function openNotificationEvents(pubSub: PubSub): NotificationEvents {
  return {
    publish: (userId, id) => pubSub.publish(channelOf(userId), id),
    onUser: (userId, listener) => pubSub.subscribe(channelOf(userId), listener),
  }
}

function channelOf(userId: string): string {
  return `notifications:${userId}`
}
