import { type CryptoKey, importJWK, type JWK } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import type { CoreLog } from '../../core-parts.ts'
import { type Issuer, safeUrl } from './issuers.ts'

export type IssuerKeys = {
  /**
   * The RS256 key of this id; null when the issuer does not have it. Keys that are known go on
   * working while the issuer does not answer; others are `platform.unavailable` then.
   */
  readonly find: (keyId: string) => Promise<CryptoKey | null>
}

export type IssuerKeyParts = {
  readonly clock: Clock
  readonly log: Pick<CoreLog, 'warn'>
}

export const keyLimits = {
  /** Used when the answer has no `Cache-Control: max-age`. */
  ageSeconds: 600,
  ageSecondsMax: 86_400,
  /** An unknown key id asks again, but not more often than this. */
  cooldownMs: 10_000,
  timeoutMs: 5000,
  bytesMax: 262_144,
  keysMax: 64,
} as const

type KeySet = { readonly keys: ReadonlyMap<string, CryptoKey>; readonly staleMs: number }

/** Loads and remembers the keys of one issuer: JWKS, RFC 7517, at the address of its discovery. */
export function openIssuerKeys(issuer: Issuer, { clock, log }: IssuerKeyParts): IssuerKeys {
  let known: KeySet = { keys: new Map(), staleMs: 0 }
  let askedMs = Number.NEGATIVE_INFINITY
  let asking: Promise<void> | null = null
  let fault: unknown = null
  const load = async (): Promise<void> => {
    askedMs = clock.nowMs()
    try {
      known = await fetchKeys(issuer, clock.nowMs())
      fault = null
    } catch (error) {
      // What is known stays: an issuer that is down must not lock everybody out.
      fault = error
      log.warn({ err: error, issuer: issuer.name }, 'the keys of a sign-in provider did not come')
    }
  }
  const reload = async (): Promise<void> => {
    if (asking === null && clock.nowMs() - askedMs < keyLimits.cooldownMs) return
    asking ??= load().finally(() => {
      asking = null
    })
    await asking
  }
  return {
    find: async (keyId) => {
      if (!known.keys.has(keyId) || clock.nowMs() >= known.staleMs) await reload()
      const key = known.keys.get(keyId) ?? null
      if (key === null && fault !== null) throw unavailable(fault)
      return key
    },
  }
}

function unavailable(cause: unknown): AppError {
  return new AppError('platform.unavailable', 'the sign-in provider does not give its keys', {
    cause,
    retryAfterSeconds: keyLimits.cooldownMs / 1000,
  })
}

const discoveryShape = z.looseObject({ issuer: z.string(), jwks_uri: safeUrl })
const jwksShape = z.looseObject({ keys: z.array(z.looseObject({})).max(keyLimits.keysMax) })
const jwkShape = z.looseObject({
  kty: z.literal('RSA'),
  kid: z.string().min(1).max(255),
  n: z.string(),
  e: z.string(),
  alg: z.literal('RS256').optional(),
  use: z.literal('sig').optional(),
})

async function fetchKeys(issuer: Issuer, nowMs: number): Promise<KeySet> {
  const { body, ageSeconds } = await fetchJson(issuer.jwksUri ?? (await discover(issuer)))
  const usable = jwksShape.parse(body).keys.flatMap((key) => jwkShape.safeParse(key).data ?? [])
  const imported = await Promise.allSettled(usable.map(importKey))
  // One that is damaged leaves the others good.
  const keys = imported.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  return { keys: new Map(keys), staleMs: nowMs + ageSeconds * 1000 }
}

/** OpenID Connect Discovery 1.0, section 4: the document must speak of the issuer we asked. */
async function discover({ issuer }: Issuer): Promise<string> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const found = discoveryShape.parse((await fetchJson(address)).body)
  if (found.issuer !== issuer) throw new Error('the discovery document is of another issuer')
  return found.jwks_uri
}

/** Only what an RSA public key needs: whatever else the document says has no effect. */
async function importKey({ kty, kid, n, e }: z.infer<typeof jwkShape>) {
  const jwk: JWK = { kty, n, e }
  const key = await importJWK(jwk, 'RS256')
  if (key instanceof Uint8Array) throw new Error('an RSA key is not bytes')
  return [kid, key] as const
}

async function fetchJson(address: string) {
  const response = await fetch(address, {
    redirect: 'error',
    signal: AbortSignal.timeout(keyLimits.timeoutMs),
    headers: { accept: 'application/json' },
  })
  if (!response.ok) throw new Error(`the issuer answered ${response.status}`)
  const text = await readBounded(response)
  const body: unknown = JSON.parse(text)
  return { body, ageSeconds: ageOf(response.headers.get('cache-control')) }
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > keyLimits.bytesMax) throw new Error('the answer of the issuer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function ageOf(cacheControl: string | null): number {
  const [, seconds] = /\bmax-age=(\d{1,9})/.exec(cacheControl ?? '') ?? []
  return Math.min(Number(seconds ?? keyLimits.ageSeconds), keyLimits.ageSecondsMax)
}
