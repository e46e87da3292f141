import { type Database, openDatabase } from '../../platform/mongo/database.ts'
import type { Clock } from '../../shared/clock.ts'
import { newJobId, type RandomBytes } from '../../shared/domain/job-id.ts'
import { createAuditLogStore } from '../features/audit-log/store.ts'
import { type AuditTrail, createAuditTrail } from '../features/audit-log/trail.ts'
import { createDepartures } from '../features/users/departures.ts'
import { createUserDirectory, type UserDirectory } from '../features/users/directory.ts'
import { createIdentityStore } from '../features/users/identities.ts'
import type { IdentityChanges } from '../features/users/identity-changes.ts'
import { createPersonChanges, type PersonChanges } from '../features/users/person-changes.ts'
import { createUserStore, type UserStore } from '../features/users/store.ts'

/** What the commands work with: the database alone, so that they also run while the api is down. */
export type AdminParts = {
  readonly database: Database
  readonly users: UserStore
  readonly directory: UserDirectory
  readonly personChanges: PersonChanges
  readonly trail: AuditTrail
  readonly clock: Clock
}

export type AdminDeps = {
  readonly mongodbUri: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

const timeoutMs = 10_000

/** Errors: `platform.unavailable` when the database does not answer. */
export async function openAdmin({ mongodbUri, clock, randomBytes }: AdminDeps) {
  const database = await openDatabase({ uri: mongodbUri, timeoutMs })
  const newId = (): string => newJobId(clock.nowMs(), randomBytes)
  const users = createUserStore(database)
  const trail = createAuditTrail({ store: createAuditLogStore(database), clock, newId })
  const identities = createIdentityStore(database)
  const changes = unheard
  const directory = createUserDirectory({ users, identities, trail, changes, clock, newId })
  const departures = createDepartures({ database, users, clock })
  // The api's leader does the errands, such as mails, within seconds or when it starts.
  const errands = { finish: async () => undefined }
  const personChanges = createPersonChanges({ directory, departures, errands, newId })
  const parts: AdminParts = { database, users, directory, personChanges, trail, clock }
  return parts
}

/** The api looks at rows again every few seconds, so nobody needs to be told through Redis. */
const unheard: IdentityChanges = {
  publish: () => undefined,
  listen: () => ({ close: () => undefined }),
}
