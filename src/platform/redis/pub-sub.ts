import { Redis, type RedisOptions } from 'ioredis'

export type PubSubOptions = {
  readonly url: string
  /** Put before every channel. */
  readonly prefix: string
  /** Told about connection faults; must not throw. */
  readonly onError: (error: unknown) => void
}

export type PubSubListener = (message: string) => void

/**
 * Fan-out that may lose messages: while Redis is away nothing is delivered, nothing throws and
 * nobody waits. Subscriptions come back with the connection.
 */
export type PubSub = {
  readonly publish: (channel: string, message: string) => void
  readonly subscribe: (channel: string, listener: PubSubListener) => { readonly close: () => void }
  /** Resolves when a subscription made before has reached Redis, or at once while it is away. */
  readonly flushed: () => Promise<void>
  readonly isConnected: () => boolean
  readonly close: () => Promise<void>
}

/** Above this many unanswered publishes new ones are dropped instead of buffered. */
const pendingMax = 1000

/** Opens two connections: a subscribed one can do nothing else (RESP 2). Does not wait for them. */
export function openPubSub(options: PubSubOptions): PubSub {
  const publisher = connect(options, { enableOfflineQueue: false })
  const subscriber = connect(options, { autoResubscribe: true })
  const listeners = new Map<string, Set<PubSubListener>>()
  let pending = 0
  let lastSubscription: Promise<unknown> = Promise.resolve()
  const note = (promise: Promise<unknown>) => {
    lastSubscription = promise.catch(options.onError)
  }
  subscriber.on('message', (channel: string, message: string) => {
    for (const listener of listeners.get(channel) ?? []) listener(message)
  })
  return {
    publish: (channel, message) => {
      if (publisher.status !== 'ready' || pending >= pendingMax) return
      pending += 1
      void publisher
        .publish(options.prefix + channel, message)
        .catch(options.onError)
        .finally(() => (pending -= 1))
    },
    subscribe: (channel, listener) => {
      const name = options.prefix + channel
      const known = listeners.get(name)
      if (known === undefined) note(subscriber.subscribe(name))
      const set = known ?? new Set()
      listeners.set(name, set.add(listener))
      return { close: () => drop({ name, set, listener }) }
    },
    flushed: async () => {
      if (subscriber.status === 'ready') await lastSubscription
    },
    isConnected: () => publisher.status === 'ready' && subscriber.status === 'ready',
    close: async () => {
      publisher.disconnect()
      subscriber.disconnect()
    },
  }

  function drop({ name, set, listener }: Dropped): void {
    set.delete(listener)
    if (set.size > 0 || listeners.get(name) !== set) return
    listeners.delete(name)
    note(subscriber.unsubscribe(name))
  }
}

type Dropped = {
  readonly name: string
  readonly set: Set<PubSubListener>
  readonly listener: PubSubListener
}

function connect({ url, onError }: PubSubOptions, extra: RedisOptions): Redis {
  const redis = new Redis(url, {
    protocol: 2,
    connectTimeout: 5000,
    commandTimeout: 5000,
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2000),
    ...extra,
  })
  // Without a listener ioredis would end the process on a refused connection.
  redis.on('error', onError)
  return redis
}
