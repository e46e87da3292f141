import type { VerifyToken } from './plugins/authentication.ts'
import { apiKeyPrefix } from './plugins/credentials.ts'
import type { FeatureGroup } from './feature-group.ts'
import { openApiKeys } from './features/api-keys/open.ts'
import { registerApiKeyRoutes } from './features/api-keys/routes.ts'
import type { SessionKeeper } from './features/sessions/contract.ts'
import { openSessions } from './features/sessions/open.ts'
import { createPasswords, type Passwords } from './features/sessions/passwords.ts'
import { registerSessionRoutes } from './features/sessions/routes.ts'
import type { SignInAttempts } from './features/sessions/sign-in-attempts.ts'
import { registerKeySetRoute } from './features/signing-keys/routes.ts'
import { openProviders } from './features/sso/open.ts'
import { registerSsoRoutes } from './features/sso/routes.ts'
import { createSsoService } from './features/sso/service.ts'
import { registerAdministrationRoutes } from './features/users/administration-routes.ts'
import { openUsers } from './features/users/open.ts'
import { registerUserRoutes } from './features/users/routes.ts'
import { openJoining } from './joining.ts'
import type { Mailer } from './mail/mailer.ts'
import type { PublicApiDeps } from './public-deps.ts'

export type AccessDeps = PublicApiDeps & {
  readonly mailer: Mailer
  readonly attempts: SignInAttempts
}

export type Access = FeatureGroup & {
  readonly verifyToken: VerifyToken
  readonly keeper: SessionKeeper
  readonly passwords: Passwords
}

/** Who somebody is: sessions, API keys, single sign-on, people, and the ways in. */
export async function openAccess(deps: AccessDeps): Promise<Access> {
  const { core, clock, metrics, publicUrl } = deps
  const { people, database } = core
  const passwords = createPasswords(deps.randomBytes)
  const sessions = await openSessions({ ...deps, people, database, passwords })
  const { keeper } = sessions
  const apiKeys = openApiKeys({ ...deps, people, database })
  const users = openUsers({ ...deps, ...core, passwords, sessions: keeper })
  const joining = openJoining({ ...deps, people, database, users, sessions: keeper, passwords })
  const providers = openProviders(deps.issuers ?? [], deps)
  const sso = createSsoService({ ...deps, ...people, errands: users.errands, providers, keeper })
  return {
    keeper,
    passwords,
    verifyToken: async (token) =>
      await (token.startsWith(apiKeyPrefix) ? apiKeys : sessions).verify(token),
    routes: [
      (app) =>
        registerSessionRoutes(app, { sessions: sessions.service, metrics, publicUrl, clock }),
      (app) => registerSsoRoutes(app, { sso, metrics, clock }),
      (app) => registerKeySetRoute(app, sessions.keys),
      (app) => registerApiKeyRoutes(app, apiKeys.service),
      (app) => registerUserRoutes(app, users.service),
      (app) => registerAdministrationRoutes(app, users.administration),
      ...joining.routes,
    ],
    leaderTasks: [sessions, apiKeys, users, joining].flatMap(({ leaderTasks }) => leaderTasks),
  }
}
