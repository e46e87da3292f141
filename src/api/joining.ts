import type { Database } from '../platform/mongo/database.ts'
import type { Clock } from '../shared/clock.ts'
import type { RandomBytes } from '../shared/domain/job-id.ts'
import type { FeatureGroup } from './feature-group.ts'
import { createCodes } from './features/codes/service.ts'
import { registerEmailChangeRoutes } from './features/email-changes/routes.ts'
import { createEmailChangeService } from './features/email-changes/service.ts'
import { firstAdminTask } from './features/invites/first-admin.ts'
import { registerInviteRoutes } from './features/invites/routes.ts'
import { createInviteService } from './features/invites/service.ts'
import { createInviteStore } from './features/invites/store.ts'
import { removeOldInvites } from './features/invites/remove-old.ts'
import { registerPasswordResetRoutes } from './features/password-resets/routes.ts'
import { createPasswordResetService } from './features/password-resets/service.ts'
import type { SessionKeeper } from './features/sessions/contract.ts'
import type { Passwords } from './features/sessions/passwords.ts'
import type { SignInAttempts } from './features/sessions/sign-in-attempts.ts'
import { registerSignUpRoutes } from './features/sign-ups/routes.ts'
import { createSignUpService } from './features/sign-ups/service.ts'
import type { Users } from './features/users/open.ts'
import type { Mailer } from './mail/mailer.ts'
import type { ApiMetrics } from './metrics.ts'
import type { People } from './people.ts'

export type JoiningDeps = {
  readonly people: People
  readonly database: Database
  readonly users: Pick<Users, 'service' | 'personChanges' | 'errands'>
  readonly sessions: SessionKeeper
  readonly passwords: Passwords
  readonly attempts: SignInAttempts
  readonly mailer: Mailer
  readonly metrics: Pick<ApiMetrics, 'signIns'>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly rateLimits?: boolean | undefined
  readonly firstAdminEmail?: string | undefined
}

/** Ways in and back in that go by mail: sign-up, invitation, forgotten password, new address. */
export function openJoining({ users, ...deps }: JoiningDeps): FeatureGroup {
  const { people, metrics, clock, rateLimits = true, firstAdminEmail } = deps
  const codes = createCodes({ ...deps, ...people, rateLimits })
  const { personChanges, errands, service: profiles } = users
  const store = createInviteStore(deps.database)
  const parts = { ...deps, ...people, codes, personChanges, errands, profiles, invites: store }
  const signUps = createSignUpService(parts)
  const resets = createPasswordResetService(parts)
  const emailChanges = createEmailChangeService(parts)
  const invites = createInviteService(parts)
  return {
    routes: [
      (app) => registerSignUpRoutes(app, { signUps, clock }),
      (app) => registerPasswordResetRoutes(app, resets),
      (app) => registerEmailChangeRoutes(app, { emailChanges, metrics }),
      (app) => registerInviteRoutes(app, { invites, clock }),
    ],
    leaderTasks: [
      ...codes.leaderTasks,
      removeOldInvites(store, clock),
      ...(firstAdminEmail === undefined ? [] : [firstAdminTask(parts, firstAdminEmail)]),
    ],
  }
}
