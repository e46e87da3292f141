import { createHash } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { isUnreachable } from './errors.ts'
import type { TokenVerdict } from './tokens.ts'

/** Whose token the API server says it is. */
export type AcceptedToken = Extract<TokenVerdict, { readonly authenticated: true }>

export type TokenReaderOptions = {
  /** Asks the API server, for our audience only. */
  readonly review: (token: string) => Promise<TokenVerdict>
  readonly clock: Clock
}

export type TokenReader = {
  /**
   * Who sends this Authorization header.
   * Errors: `auth.required`, `auth.invalid_token`, `platform.unavailable`.
   */
  readonly read: (authorization: string | undefined) => Promise<AcceptedToken>
}

const limits = { cacheMs: 60_000, cachedMax: 2000, tokenLengthMax: 8192 } as const

type Cached = { readonly accepted: AcceptedToken; readonly expiresMs: number }

/** Accepted tokens are remembered for a minute, by digest; refused ones are asked again. */
export function openTokenReader({ review, clock }: TokenReaderOptions): TokenReader {
  const cache = new Map<string, Cached>()
  return {
    read: async (authorization) => {
      const token = bearerOf(authorization)
      const digest = createHash('sha256').update(token).digest('hex')
      const nowMs = clock.nowMs()
      const cached = cache.get(digest)
      if (cached !== undefined && cached.expiresMs > nowMs) return cached.accepted
      const accepted = await ask(review, token)
      cache.delete(digest)
      cache.set(digest, { accepted, expiresMs: nowMs + limits.cacheMs })
      const [oldest] = cache.keys()
      if (cache.size > limits.cachedMax && oldest !== undefined) cache.delete(oldest)
      return accepted
    },
  }
}

function bearerOf(authorization: string | undefined): string {
  if (authorization === undefined) throw new AppError('auth.required', 'send a bearer token')
  const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization) ?? []
  if (token !== undefined && token.length <= limits.tokenLengthMax) return token
  throw new AppError('auth.invalid_token', 'the Authorization header is not a bearer token')
}

async function ask(review: TokenReaderOptions['review'], token: string): Promise<AcceptedToken> {
  const verdict = await review(token).catch((error: unknown) => {
    if (!isUnreachable(error)) throw error
    const message = 'the API server does not answer; nobody can be recognised'
    throw new AppError('platform.unavailable', message, { cause: error })
  })
  if (!verdict.authenticated) throw new AppError('auth.invalid_token', 'the token is not accepted')
  return verdict
}

/** The service account of a token; undefined for somebody else's. */
export function serviceAccountOf({ username }: AcceptedToken): ServiceAccountName | undefined {
  const [, namespace, name] = accountPattern.exec(username) ?? []
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}

export type ServiceAccountName = { readonly namespace: string; readonly name: string }

const accountPattern = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/
