import { createHash } from 'node:crypto'
import { isUnreachable } from '../../platform/kube/errors.ts'
import type { TokenVerdict } from '../../platform/kube/tokens.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { serviceAccounts, systemNamespace } from '../../shared/names.ts'

/** Who calls the internal port, as the API server says. */
export type Identity =
  | { readonly kind: 'Controller' }
  | { readonly kind: 'JobPod'; readonly namespace: string; readonly podUID: string }
  | { readonly kind: 'Other' }

export type IdentityDeps = {
  /** Asks the API server, for our audience only. */
  readonly review: (token: string) => Promise<TokenVerdict>
  readonly clock: Clock
}

export type IdentityReader = {
  /** Errors: `auth.required`, `auth.invalid_token`, `platform.unavailable`. */
  readonly read: (authorization: string | undefined) => Promise<Identity>
}

const limits = { cacheMs: 60_000, cachedMax: 2000, tokenLengthMax: 8192 } as const

type Cached = { readonly identity: Identity; readonly expiresMs: number }

/** Accepted tokens are remembered for a minute, by digest; refused ones are asked again. */
export function openIdentityReader({ review, clock }: IdentityDeps): IdentityReader {
  const cache = new Map<string, Cached>()
  return {
    read: async (authorization) => {
      const token = bearerOf(authorization)
      const digest = createHash('sha256').update(token).digest('hex')
      const nowMs = clock.nowMs()
      const cached = cache.get(digest)
      if (cached !== undefined && cached.expiresMs > nowMs) return cached.identity
      const identity = await ask(review, token)
      cache.delete(digest)
      cache.set(digest, { identity, expiresMs: nowMs + limits.cacheMs })
      const [oldest] = cache.keys()
      if (cache.size > limits.cachedMax && oldest !== undefined) cache.delete(oldest)
      return identity
    },
  }
}

function bearerOf(authorization: string | undefined): string {
  if (authorization === undefined) throw new AppError('auth.required', 'send a bearer token')
  const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization) ?? []
  if (token !== undefined && token.length <= limits.tokenLengthMax) return token
  throw new AppError('auth.invalid_token', 'the Authorization header is not a bearer token')
}

async function ask(review: IdentityDeps['review'], token: string): Promise<Identity> {
  const verdict = await review(token).catch((error: unknown) => {
    if (!isUnreachable(error)) throw error
    const message = 'the API server does not answer; nobody can be recognised'
    throw new AppError('platform.unavailable', message, { cause: error })
  })
  if (!verdict.authenticated) throw new AppError('auth.invalid_token', 'the token is not accepted')
  return identityOf(verdict)
}

const accountPattern = /^system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)$/

function identityOf({ username, pod }: TokenVerdict & { readonly authenticated: true }): Identity {
  const [, namespace, name] = accountPattern.exec(username) ?? []
  if (namespace === systemNamespace && name === serviceAccounts.controller) {
    return { kind: 'Controller' }
  }
  if (namespace !== undefined && name === serviceAccounts.job && pod !== undefined) {
    return { kind: 'JobPod', namespace, podUID: pod.uid }
  }
  return { kind: 'Other' }
}
