import { z } from 'zod'
import type { PubSub } from '../../../platform/redis/pub-sub.ts'

/**
 * Says that who somebody is, or what a session or key may, has changed, so that every replica
 * forgets what it remembers and closes sockets. It may get lost while Redis is away: memories are
 * a few seconds old at most.
 */
export type IdentityChange =
  | { readonly kind: 'User'; readonly userId: string }
  | { readonly kind: 'Session'; readonly sessionId: string; readonly userId: string }
  | { readonly kind: 'ApiKey'; readonly keyId: string; readonly userId: string }

export type IdentityChanges = {
  /** Tells this replica at once and the others through Redis. */
  readonly publish: (change: IdentityChange) => void
  readonly listen: (listener: (change: IdentityChange) => void) => { readonly close: () => void }
}

const channel = 'identity-changes'

const identityChange = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('User'), userId: z.string() }),
  z.object({ kind: z.literal('Session'), sessionId: z.string(), userId: z.string() }),
  z.object({ kind: z.literal('ApiKey'), keyId: z.string(), userId: z.string() }),
])

export function openIdentityChanges(pubSub: PubSub): IdentityChanges {
  const listeners = new Set<(change: IdentityChange) => void>()
  const tell = (change: IdentityChange): void => {
    for (const listener of listeners) listener(change)
  }
  pubSub.subscribe(channel, (message) => {
    const change = parse(message)
    if (change !== null) tell(change)
  })
  return {
    publish: (change) => {
      tell(change)
      pubSub.publish(channel, JSON.stringify(change))
    },
    listen: (listener) => {
      listeners.add(listener)
      return { close: () => void listeners.delete(listener) }
    },
  }
}

/** Whatever else lies in Redis is nobody's change. */
function parse(message: string): IdentityChange | null {
  try {
    return identityChange.safeParse(JSON.parse(message)).data ?? null
  } catch {
    return null
  }
}
