import type { FastifyBaseLogger } from 'fastify'
import type { Clock } from '../shared/clock.ts'
import type { RandomBytes } from '../shared/domain/job-id.ts'
import type { ApiCore } from './composition.ts'
import type { Issuer } from './features/sso/issuers.ts'
import type { ApiMetrics } from './metrics.ts'
import type { RealtimeLimits } from './realtime/open-realtime.ts'
import type { StreamLimits } from './realtime/open-streams.ts'

/** What the public port needs from outside; main.ts and the tests fill it in. */
export type PublicApiDeps = {
  readonly core: Pick<
    ApiCore,
    | 'database'
    | 'pubSub'
    | 'people'
    | 'accounts'
    | 'accountStore'
    | 'jobs'
    | 'quotes'
    | 'simulations'
    | 'jobStore'
    | 'events'
    | 'models'
    | 'departments'
    | 'departmentSync'
    | 'objects'
    | 'pictures'
    | 'linkObject'
    | 'audit'
  >
  readonly urlKey: Uint8Array
  readonly publicUrl: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: FastifyBaseLogger
  readonly metrics: ApiMetrics
  readonly redisUrl: string
  readonly redisPrefix?: string | undefined
  /** Without it mails wait in the database. */
  readonly smtpUrl?: string | undefined
  readonly mailFrom: string
  /** Single sign-on; none when absent. */
  readonly issuers?: readonly Issuer[] | undefined
  /** Whose `X-Forwarded-For` is believed; none when absent. */
  readonly trustedProxies?: readonly string[] | undefined
  /** Sites whose scripts may call with a bearer token; none when absent. */
  readonly corsOrigins?: readonly string[] | undefined
  /** False only for tests that send thousands of requests. */
  readonly rateLimits?: boolean | undefined
  /** Invited as the first super admin while there is none. */
  readonly firstAdminEmail?: string | undefined
  readonly streamLimits?: StreamLimits
  readonly heartbeatMs?: number
  readonly realtimeLimits?: Partial<RealtimeLimits>
}
