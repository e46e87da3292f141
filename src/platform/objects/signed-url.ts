import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'

/** What a link allows. For PUT the size and digest of the bytes belong to it. */
export type Grant = {
  readonly method: 'GET' | 'PUT'
  readonly key: string
  readonly expiresMs: number
  readonly sha256?: string
  readonly sizeBytes?: number
  readonly contentType?: string
}

export type SignedUrl = { readonly url: string; readonly expiresMs: number }

/** A request that claims to carry a grant: its method, the object key of its path, its query. */
export type SignedRequest = {
  readonly method: string
  readonly key: string
  readonly query: Readonly<Record<string, unknown>>
}

/** Makes `<base>/<key>?expires=…&signature=…`; `base` has no trailing slash. */
export function signUrl(base: string, grant: Grant, secret: Uint8Array): SignedUrl {
  const query = new URLSearchParams({ expires: String(grant.expiresMs) })
  if (grant.sha256 !== undefined) query.set('sha256', grant.sha256)
  if (grant.sizeBytes !== undefined) query.set('size', String(grant.sizeBytes))
  if (grant.contentType !== undefined) query.set('type', grant.contentType)
  query.set('signature', signatureOf(grant, secret))
  const path = grant.key.split('/').map(encodeURIComponent).join('/')
  return { url: `${base}/${path}?${query.toString()}`, expiresMs: grant.expiresMs }
}

/**
 * The grant of a request. Throws AppError `object.url_invalid` when the signature does not fit the
 * method, key, expiry, digest, size and type, or when the link has expired.
 */
export function verifySignedUrl(
  request: SignedRequest,
  options: { readonly secret: Uint8Array; readonly clock: Clock },
): Grant {
  const grant = readGrant(request)
  const signature = request.query['signature']
  if (grant === null || typeof signature !== 'string') throw invalidLink()
  if (!sameText(signature, signatureOf(grant, options.secret))) throw invalidLink()
  if (grant.expiresMs <= options.clock.nowMs()) throw invalidLink()
  return grant
}

function readGrant({ method, key, query }: SignedRequest): Grant | null {
  if (method !== 'GET' && method !== 'PUT') return null
  const { expires, sha256, size, type } = query
  if (typeof expires !== 'string' || !/^[0-9]{1,15}$/.test(expires)) return null
  return {
    method,
    key,
    expiresMs: Number(expires),
    ...(typeof sha256 === 'string' ? { sha256 } : {}),
    ...(typeof size === 'string' && /^[0-9]{1,15}$/.test(size) ? { sizeBytes: Number(size) } : {}),
    ...(typeof type === 'string' ? { contentType: type } : {}),
  }
}

/** HMAC-SHA256 (RFC 2104) over a JSON array, so that no field can run over into its neighbour. */
function signatureOf(grant: Grant, secret: Uint8Array): string {
  const { method, key, expiresMs, sha256, sizeBytes, contentType } = grant
  const fields = [method, key, expiresMs, sha256 ?? null, sizeBytes ?? null, contentType ?? null]
  return createHmac('sha256', secret).update(JSON.stringify(fields)).digest('base64url')
}

function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function invalidLink(): AppError {
  return new AppError(
    'object.url_invalid',
    'The link is not valid or has expired; ask for a new one.',
  )
}
