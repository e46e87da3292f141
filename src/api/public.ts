import type { JWK } from 'jose'
import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../shared/clock.ts'
import { newJobId, type RandomBytes } from '../shared/domain/job-id.ts'
import { createPublicApp, type PublicApp } from './app.ts'
import type { ApiCore } from './composition.ts'
import { loadDemoAccounts } from './demo-accounts.ts'
import { createArtifactService } from './features/artifacts/service.ts'
import { createUploadService } from './features/artifacts/uploads.ts'
import { createDepartmentService } from './features/departments/service.ts'
import { createDepartmentStore } from './features/departments/store.ts'
import { createModelService } from './features/models/service.ts'
import { createPasswords } from './features/sessions/passwords.ts'
import { createSessionService } from './features/sessions/service.ts'
import { createTokens } from './features/sessions/tokens.ts'
import { createSystemService } from './features/system/service.ts'
import { createUserService } from './features/users/service.ts'
import { createUserStore } from './features/users/store.ts'
import type { ApiMetrics } from './metrics.ts'
import type { VerifyToken } from './plugins/authentication.ts'
import { createOpenStreams, type StreamLimits } from './realtime/open-streams.ts'
import { createJobWatch } from './realtime/watch-job.ts'

export type PublicApiDeps = {
  readonly core: Pick<
    ApiCore,
    | 'database'
    | 'accounts'
    | 'jobs'
    | 'events'
    | 'models'
    | 'objects'
    | 'pictures'
    | 'linkObject'
    | 'audit'
  >
  readonly tokenKey: JWK
  readonly urlKey: Uint8Array
  readonly publicUrl: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: FastifyBaseLogger
  readonly metrics: ApiMetrics
  readonly streamLimits?: StreamLimits
  readonly heartbeatMs?: number
}

export type PublicApi = PublicApp & {
  /** Only the embedded environment has such a file. */
  readonly loadDemoAccounts: (path: string) => Promise<void>
}

const defaultStreamLimits: StreamLimits = { perUserMax: 16, totalMax: 2000, slowReaderMs: 10_000 }
const defaultHeartbeatMs = 15_000

/** Puts the features of the public port together on top of the core. */
export async function openPublicApi(deps: PublicApiDeps): Promise<PublicApi> {
  const { core, clock, randomBytes, publicUrl, metrics } = deps
  const { database, accounts } = core
  const newId = (): string => newJobId(clock.nowMs(), randomBytes)
  const userStore = createUserStore(database)
  const departmentStore = createDepartmentStore(database)
  const passwords = createPasswords(randomBytes)
  const tokens = await createTokens({ key: deps.tokenKey, issuer: publicUrl, clock, newId })
  const users = createUserService({ users: userStore, accounts, clock })
  const streams = createOpenStreams(deps.streamLimits ?? defaultStreamLimits, metrics)
  const heartbeatMs = deps.heartbeatMs ?? defaultHeartbeatMs
  const verifyToken: VerifyToken = async (token) => {
    const { userId, expiresMs } = await tokens.verify(token)
    return { caller: await users.findCaller(userId), expiresMs }
  }
  const publicApp = await createPublicApp({
    ...deps,
    newRequestId: newId,
    verifyToken,
    users,
    streams,
    sessions: createSessionService({ findForSignIn: users.findForSignIn, passwords, tokens }),
    departments: createDepartmentService(departmentStore),
    models: createModelService(core.models),
    jobs: core.jobs,
    artifacts: createArtifactService({ ...deps, ...core }),
    uploads: createUploadService({ ...core, clock }),
    system: createSystemService(core.audit),
    watch: createJobWatch({ ...core, streams, clock, heartbeatMs }),
  })
  const demo = { users: userStore, departments: departmentStore, accounts, passwords }
  return { ...publicApp, loadDemoAccounts: async (path) => await loadDemoAccounts(path, demo) }
}
