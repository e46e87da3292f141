import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

const preflightSeconds = 600

/** What scripts of other sites may send. Cookies are not among it: those are for our own site. */
const allowedHeaders = [
  'authorization',
  'content-type',
  'idempotency-key',
  'if-match',
  'last-event-id',
  'prefer',
]
/** Answer headers that such scripts may read. */
const exposedHeaders = [
  'allow',
  'content-disposition',
  'etag',
  'idempotency-replayed',
  'location',
  'preference-applied',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
  'retry-after',
  'www-authenticate',
  'x-request-id',
]

/**
 * Lets the scripts of these sites, and of no other, call with a bearer token. Preflights are
 * answered here, before authentication and the 405 of addresses that do not know OPTIONS.
 */
export async function registerCors(
  app: FastifyInstance,
  origins: readonly string[],
): Promise<void> {
  if (origins.length === 0) return
  const allowed = new Set(origins)
  app.addHook('onRoute', (route) => {
    // The package's own route, which OPTIONS of unknown addresses reach.
    if (route.url === '*') route.config = { ...route.config, permission: 'Public' }
  })
  await app.register(cors, {
    // A function, or the package would answer the preflights of all other sites too.
    origin: (origin, done) => done(null, origin !== undefined && allowed.has(origin) && origin),
    credentials: false,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders,
    exposedHeaders,
    maxAge: preflightSeconds,
    // Its refusal would be plain text; without Access-Control-Request-Method we answer 204 too.
    strictPreflight: false,
  })
}
