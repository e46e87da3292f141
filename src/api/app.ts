import type { FastifyBaseLogger } from 'fastify'
import { registerArtifactRoutes } from './features/artifacts/routes.ts'
import type { ArtifactService } from './features/artifacts/service.ts'
import { registerUploadRoutes } from './features/artifacts/upload-routes.ts'
import type { UploadService } from './features/artifacts/uploads.ts'
import { registerDepartmentRoutes } from './features/departments/routes.ts'
import type { DepartmentService } from './features/departments/service.ts'
import { registerJobRoutes } from './features/jobs/routes.ts'
import type { JobService } from './features/jobs/service.ts'
import { registerModelRoutes } from './features/models/routes.ts'
import type { ModelService } from './features/models/service.ts'
import { registerSchedulerRoutes } from './features/schedulers/routes.ts'
import { registerSessionRoutes } from './features/sessions/routes.ts'
import type { SessionService } from './features/sessions/service.ts'
import { registerSystemRoutes } from './features/system/routes.ts'
import type { SystemService } from './features/system/service.ts'
import { registerUserRoutes } from './features/users/routes.ts'
import type { UserService } from './features/users/service.ts'
import type { ApiMetrics } from './metrics.ts'
import type { ApiApp } from './plugins/api-app.ts'
import { registerAuthentication, type VerifyToken } from './plugins/authentication.ts'
import { registerDocs } from './plugins/docs.ts'
import { createHttpApp } from './plugins/http-app.ts'
import { registerMethodRefusals } from './plugins/method-refusal.ts'
import { registerOpenApi } from './plugins/openapi.ts'
import { registerRequestLog } from './plugins/request-log.ts'
import { registerRequestMetrics } from './plugins/request-metrics.ts'
import { guardRoutes, type RouteFact } from './plugins/route-config.ts'
import type { OpenStreams } from './realtime/open-streams.ts'
import type { JobWatch } from './realtime/watch-job.ts'

const bodyBytesMax = 256 * 1024
/** Room for a picture of 32 MiB over a slow line. */
const requestTimeoutMs = 120_000

export type PublicAppParts = {
  readonly log: FastifyBaseLogger
  readonly metrics: ApiMetrics
  readonly publicUrl: string
  readonly newRequestId: () => string
  readonly verifyToken: VerifyToken
  readonly sessions: SessionService
  readonly users: UserService
  readonly departments: DepartmentService
  readonly models: ModelService
  readonly jobs: JobService
  readonly artifacts: ArtifactService
  readonly uploads: UploadService
  readonly system: SystemService
  readonly watch: JobWatch
  readonly streams: OpenStreams
}

export type PublicApp = {
  readonly app: ApiApp
  /** Every route with its permission, for the tests that walk over all of them. */
  readonly routes: readonly RouteFact[]
}

/** The app of the public port, ready to listen. Fails when a route declares no permission. */
export async function createPublicApp(parts: PublicAppParts): Promise<PublicApp> {
  const app = createHttpApp({ ...parts, bodyBytesMax, requestTimeoutMs })
  const listRoutes = guardRoutes(app)
  registerRequestLog(app)
  registerRequestMetrics(app, parts.metrics)
  registerAuthentication(app, parts.verifyToken)
  app.addHook('preClose', async () => parts.streams.stop())
  await registerOpenApi(app, parts.publicUrl)
  await registerDocs(app)
  registerSessionRoutes(app, parts)
  registerUserRoutes(app, parts.users)
  registerDepartmentRoutes(app, parts.departments)
  registerModelRoutes(app, parts.models)
  registerJobRoutes(app, parts)
  registerArtifactRoutes(app, parts.artifacts)
  await registerUploadRoutes(app, parts)
  registerSchedulerRoutes(app)
  registerSystemRoutes(app, parts.system)
  const routes = listRoutes()
  registerMethodRefusals(app, routes)
  await app.ready()
  return { app, routes }
}
