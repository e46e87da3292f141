import type { FastifyBaseLogger } from 'fastify'
import type { Counters } from '../platform/redis/counters.ts'
import type { ApiMetrics } from './metrics.ts'
import type { ApiApp } from './plugins/api-app.ts'
import { registerAuthentication, type VerifyToken } from './plugins/authentication.ts'
import { registerCors } from './plugins/cors.ts'
import { registerDocs } from './plugins/docs.ts'
import { createHttpApp } from './plugins/http-app.ts'
import { registerMethodRefusals } from './plugins/method-refusal.ts'
import { registerOpenApi } from './plugins/openapi.ts'
import { registerRateLimits } from './plugins/rate-limit.ts'
import { registerRequestLog } from './plugins/request-log.ts'
import { registerRequestMetrics } from './plugins/request-metrics.ts'
import { guardRoutes, type RouteFact } from './plugins/route-config.ts'
import type { OpenStreams } from './realtime/open-streams.ts'
import { isSocketRequest } from './realtime/socket-routes.ts'

const bodyBytesMax = 256 * 1024
/** Room for a picture of 32 MiB over a slow line. */
const requestTimeoutMs = 120_000

export type PublicAppParts = {
  readonly log: FastifyBaseLogger
  readonly metrics: ApiMetrics
  readonly publicUrl: string
  readonly newRequestId: () => string
  readonly trustedProxies?: readonly string[] | undefined
  readonly corsOrigins?: readonly string[] | undefined
  readonly verifyToken: VerifyToken
  readonly streams: OpenStreams
  /** Null: nobody's requests are counted. */
  readonly counters: Counters | null
  /** What ends with the app, after the last request. */
  readonly onClose: () => Promise<void>
  /** One per feature, in the order of the OpenAPI document. */
  readonly routes: readonly RegisterRoutes[]
}

export type RegisterRoutes = (app: ApiApp) => void | Promise<void>

export type PublicApp = {
  readonly app: ApiApp
  /** Every route with its permission, for the tests that walk over all of them. */
  readonly routes: readonly RouteFact[]
}

/** The app of the public port, ready to listen. Fails when a route declares no permission. */
export async function createPublicApp(parts: PublicAppParts): Promise<PublicApp> {
  const isUpgrade = isSocketRequest
  const app = createHttpApp({ ...parts, bodyBytesMax, requestTimeoutMs, isUpgrade })
  // Before the guard: its route is no route of ours.
  await registerCors(app, parts.corsOrigins ?? [])
  const listRoutes = guardRoutes(app)
  registerRequestLog(app)
  registerRequestMetrics(app, parts.metrics)
  if (parts.counters !== null) await registerRateLimits(app, parts.counters)
  await registerAuthentication(app, parts)
  app.addHook('preClose', async () => parts.streams.stop())
  app.addHook('onClose', async () => await parts.onClose())
  await registerOpenApi(app, parts.publicUrl)
  registerDocs(app)
  for (const register of parts.routes) await register(app)
  const routes = listRoutes()
  registerMethodRefusals(app, routes)
  await app.ready()
  return { app, routes }
}
