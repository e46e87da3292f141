import { createHash } from 'node:crypto'
import rateLimitPlugin, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Counted, Counters } from '../../platform/redis/counters.ts'
import { AppError } from '../../shared/errors.ts'
import { badTokenLimit, type RateClass, rateLimits } from './rate-classes.ts'

/**
 * Bounds how often everybody calls, by the class of the route. Two hooks around authentication,
 * before which this must be registered: bad tokens are refused before they are looked at again,
 * and the class is counted once it is known who calls, before a body is read.
 * Headers are those of draft-ietf-httpapi-ratelimit-headers-06.
 */
export async function registerRateLimits(app: FastifyInstance, counters: Counters): Promise<void> {
  await app.register(rateLimitPlugin, {
    global: false,
    store: storeOf(counters),
    keyGenerator: (request) => `rate:${classOf(request)}:${whoIs(request)}`,
    timeWindow: (request) => rateLimits[classOf(request)].windowMs,
    max: (request) => maxOf(request),
  })
  refuseBadTokens(app, counters)
  const count = app.createRateLimit()
  app.addHook('preParsing', async (request, reply) => {
    const found = await count(request)
    if (found.isAllowed) return
    const { max, remaining, ttlInSeconds, isExceeded } = found
    setHeaders(reply, { limit: max, remaining, resetSeconds: ttlInSeconds })
    if (!isExceeded) return
    const rateClass = classOf(request)
    const details = { limit: max, count: max, remaining: 0, class: rateClass }
    const message = `at most ${max} requests of the class ${rateClass} fit into its window`
    throw new AppError('rate.limited', message, { details, retryAfterSeconds: ttlInSeconds })
  })
}

type Shown = { readonly limit: number; readonly remaining: number; readonly resetSeconds: number }

function setHeaders(reply: FastifyReply, { limit, remaining, resetSeconds }: Shown): void {
  reply.headers({
    'ratelimit-limit': String(limit),
    'ratelimit-remaining': String(remaining),
    'ratelimit-reset': String(resetSeconds),
  })
}

/** Public routes do not look at tokens: an expired one in a cookie must not close the way back in. */
function refuseBadTokens(app: FastifyInstance, counters: Counters): void {
  app.addHook('onRequest', async (request) => {
    if (isPublic(request) || !carriesToken(request)) return
    const { ofIp, ofToken } = badTokenKeys(request)
    refuseOver(counters.recall(ofIp), badTokenLimit.perIpMax)
    refuseOver(counters.recall(ofToken), badTokenLimit.perTokenMax)
  })
  app.addHook('onResponse', async (request, reply) => {
    if (reply.statusCode !== 401 || isPublic(request) || request.signedIn !== null) return
    const { ofIp, ofToken } = badTokenKeys(request)
    const { count } = await counters.hit(ofToken, badTokenLimit.windowMs)
    if (count <= badTokenLimit.perTokenMax) await counters.hit(ofIp, badTokenLimit.windowMs)
  })
}

function refuseOver({ count, leftMs }: Counted, limit: number): void {
  if (count < limit) return
  const details = { limit, count, remaining: 0 }
  const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000))
  const message = 'too many requests with a token that is not valid'
  throw new AppError('rate.limited', message, { details, retryAfterSeconds })
}

function isPublic({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.config.permission === 'Public'
}

function carriesToken({ headers }: FastifyRequest): boolean {
  return headers.authorization !== undefined || headers.cookie !== undefined
}

/** A digest: no token may lie in Redis. */
function badTokenKeys(request: FastifyRequest) {
  const { authorization = '', cookie = '' } = request.headers
  const digest = createHash('sha256').update(`${authorization}\n${cookie}`).digest('base64url')
  const ip = normalizeIP(request.ip)
  return { ofIp: `bad-token:${ip}`, ofToken: `bad-token:${ip}:${digest.slice(0, 22)}` }
}

function classOf(request: FastifyRequest): RateClass {
  const declared = request.routeOptions.config?.rateClass
  return declared ?? (request.method === 'GET' || request.method === 'HEAD' ? 'Read' : 'Write')
}

function maxOf(request: FastifyRequest): number {
  const { perUserMax, perIpMax } = rateLimits[classOf(request)]
  return request.signedIn === null ? perIpMax : perUserMax
}

function whoIs(request: FastifyRequest): string {
  return request.signedIn?.caller.userId ?? normalizeIP(request.ip)
}

type StoreCallback = (error: Error | null, result?: { current: number; ttl: number }) => void

/** The plugin makes its store itself, and a child of it for each limiter. */
function storeOf(counters: Counters) {
  return class CounterStore {
    /** Counters never fail, so neither does this. Who is over the limit already costs nothing. */
    async incr(
      key: string,
      done: StoreCallback,
      ...[windowMs, max]: [windowMs: number, max: number]
    ): Promise<void> {
      const known = counters.recall(key)
      const { count, leftMs } = known.count > max ? known : await counters.hit(key, windowMs)
      done(null, { current: count, ttl: leftMs })
    }

    child(): CounterStore {
      return this
    }
  }
}
