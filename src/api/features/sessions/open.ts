import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { LeaderTask, People } from '../../people.ts'
import type { SignedIn } from '../../plugins/route-config.ts'
import { type KeyRing, openKeyRing } from '../signing-keys/key-ring.ts'
import { createSigningKeyStore } from '../signing-keys/store.ts'
import { signingKeyTasks } from '../signing-keys/tasks.ts'
import { beginSession } from './begin.ts'
import type { SessionKeeper } from './contract.ts'
import { endAllSessions } from './end.ts'
import { rememberSessions } from './liveness.ts'
import type { Passwords } from './passwords.ts'
import { createSessionService, type SessionService } from './service.ts'
import type { SignInAttempts } from './sign-in-attempts.ts'
import type { SignInParts } from './sign-in.ts'
import { createSessionStore } from './store.ts'
import { createTokens } from './tokens.ts'
import { verifyAccessToken } from './verify.ts'

export type SessionDeps = {
  readonly people: People
  readonly database: Database
  readonly passwords: Passwords
  readonly mailer: Mailer | undefined
  /** The issuer of access tokens. */
  readonly publicUrl: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly attempts: SignInAttempts
}

export type Sessions = {
  /** For the features that sign people in and out. */
  readonly keeper: SessionKeeper
  readonly service: SessionService
  readonly keys: KeyRing
  /** Throws `auth.invalid_token`. */
  readonly verify: (accessToken: string) => Promise<SignedIn>
  readonly leaderTasks: readonly LeaderTask[]
}

/** Ended and expired sessions stay for so long, for questions about them. */
const keptMs = 7 * 86_400_000

/** Makes the first signing key when there is none. */
export async function openSessions(deps: SessionDeps): Promise<Sessions> {
  const { people, database, publicUrl, clock } = deps
  const keyParts = { ...people, store: createSigningKeyStore(database), clock }
  const keys = await openKeyRing(keyParts)
  const store = createSessionStore(database)
  const tokens = createTokens({ keys, issuer: publicUrl, clock, newId: people.newId })
  const parts: SignInParts = { ...deps, ...people, store, tokens }
  const liveness = rememberSessions(store, { clock, changes: people.changes })
  const { callers } = people
  return {
    keeper: {
      start: async (wish) => await beginSession(parts, wish),
      endAll: async (wish) => await endAllSessions(parts, wish),
      isLive: async (sessionId) => (await liveness.ownerOf(sessionId)) !== null,
    },
    service: createSessionService(parts),
    keys,
    verify: async (token) => await verifyAccessToken({ tokens, liveness, callers }, token),
    leaderTasks: [
      signingKeyTasks(keyParts, people.settings),
      {
        name: 'remove-sessions',
        everyMs: 600_000,
        run: async () => await store.removeExpired(clock.nowMs() - keptMs),
      },
    ],
  }
}
