import type { FastifyBaseLogger } from 'fastify'
import { type Counters, openCounters } from '../platform/redis/counters.ts'
import type { Seal } from '../platform/seal/seal.ts'
import type { Clock } from '../shared/clock.ts'
import {
  openSignInAttempts,
  type SignInAttempts,
  uncountedAttempts,
} from './features/sessions/sign-in-attempts.ts'

export type RequestLimitDeps = {
  /** False only for tests that send thousands of requests. */
  readonly rateLimits?: boolean | undefined
  readonly redisUrl: string
  readonly redisPrefix?: string | undefined
  readonly people: { readonly seal: Seal }
  readonly clock: Clock
  readonly log: FastifyBaseLogger
}

/** How often what may be asked; null counters: limits are off. */
export type RequestLimits = {
  readonly counters: Counters | null
  readonly attempts: SignInAttempts
  readonly close: () => void
}

export function openRequestLimits(deps: RequestLimitDeps): RequestLimits {
  if (deps.rateLimits === false) {
    return { counters: null, attempts: uncountedAttempts, close: () => {} }
  }
  const counters = openCounters({
    url: deps.redisUrl,
    prefix: deps.redisPrefix ?? 'atelier:',
    clock: deps.clock,
    onError: (error) => deps.log.warn({ err: error }, 'limits are counted without Redis'),
  })
  const attempts = openSignInAttempts({ counters, seal: deps.people.seal })
  return { counters, attempts, close: counters.close }
}
