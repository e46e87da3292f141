import type { KubeClient } from '../platform/kube/client.ts'
import type { Database } from '../platform/mongo/database.ts'
import type { ObjectStore } from '../platform/objects/store.ts'
import type { PubSub } from '../platform/redis/pub-sub.ts'
import type { Seal } from '../platform/seal/seal.ts'
import type { Clock } from '../shared/clock.ts'
import type { Hash } from '../shared/domain/account-entry.ts'
import type { ResourceCaches } from './caches.ts'
import type { AccountService } from './features/accounts/service.ts'
import type { AccountStore } from './features/accounts/store.ts'
import type { PictureStore } from './features/artifacts/picture-store.ts'
import type { AttemptStore } from './features/jobs/attempts.ts'
import type { Dispatcher } from './features/jobs/dispatcher.ts'
import type { JobEvents } from './features/jobs/events.ts'
import type { JobStore } from './features/jobs/store.ts'
import type { Leader } from './features/queue/leader.ts'
import type { QuoteStore } from './features/quotes/store.ts'
import type { People } from './people.ts'

/** What the core needs from outside; main.ts and the tests fill it in. */
export type ApiCoreDeps = {
  readonly kube: KubeClient
  /** With database name. */
  readonly mongodbUri: string
  readonly redisUrl: string
  /** Prefix of all Redis channels, so that several installations can share one Redis. */
  readonly redisPrefix?: string
  /** Where several installations share a cluster: only Departments with this label are ours. */
  readonly installation?: string | undefined
  readonly objects: ObjectStore
  /** 32 random bytes: signs object links. */
  readonly urlKey: Uint8Array
  readonly seal: Seal
  /** Base of links for browsers, no trailing slash: `<publicUrl>/v1/objects/<key>?…`. */
  readonly publicUrl: string
  /** Base of links for pods, no trailing slash: `<internalUrl>/internal/v1/objects/<key>?…`. */
  readonly internalUrl: string
  readonly clock: Clock
  /** Uniform in [0, 1): jitter, waiting times and seeds. */
  readonly random: () => number
  readonly randomBytes: (length: number) => Uint8Array
  readonly log: CoreLog
  /** Whom to ask about the queue; nobody when absent. */
  readonly leader?: Leader | undefined
}

/** The part of pino's interface that the core uses. */
export type CoreLog = {
  readonly info: (fields: object, sentence: string) => void
  readonly warn: (fields: object, sentence: string) => void
  readonly error: (fields: object, sentence: string) => void
}

/** The parts that services and tasks share. */
export type CoreParts = ApiCoreDeps & {
  readonly database: Database
  readonly pubSub: PubSub
  readonly people: People
  readonly store: JobStore
  readonly attempts: AttemptStore
  readonly pictures: PictureStore
  readonly accountStore: AccountStore
  readonly accounts: AccountService
  readonly quotes: QuoteStore
  readonly events: JobEvents
  readonly caches: ResourceCaches
  readonly dispatcher: Dispatcher
  readonly hash: Hash
}
