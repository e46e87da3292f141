import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** What a signature covers. `path` includes the query. */
export type SignedRequest = {
  readonly method: string
  readonly path: string
  readonly body: string
}

export type SignatureClock = { readonly nowMs: number }

const signatureHeader = 'x-atelier-signature'
const timeHeader = 'x-atelier-time'
const version = 'v1'
/** Clocks of two Nodes may differ by this much. What is repeated meanwhile is idempotent. */
const toleranceMs = 300_000

/** Headers that prove that the sender has the key: HMAC-SHA256 over time, method, path and body. */
export function signRequest(
  request: SignedRequest,
  key: Uint8Array,
  { nowMs }: SignatureClock,
): Record<string, string> {
  const time = String(nowMs)
  return { [timeHeader]: time, [signatureHeader]: `${version}=${digestOf(request, key, time)}` }
}

export type SignatureFault = 'Missing' | 'Expired' | 'Wrong'

/** Undefined when the signature is right. */
export function signatureFault(
  request: SignedRequest & { readonly headers: Readonly<Record<string, unknown>> },
  key: Uint8Array,
  { nowMs }: SignatureClock,
): SignatureFault | undefined {
  const { [timeHeader]: time, [signatureHeader]: signature } = request.headers
  if (typeof time !== 'string' || typeof signature !== 'string') return 'Missing'
  const wanted = Buffer.from(`${version}=${digestOf(request, key, time)}`)
  const given = Buffer.from(signature)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return 'Wrong'
  return Math.abs(nowMs - Number(time)) <= toleranceMs ? undefined : 'Expired'
}

function digestOf({ method, path, body }: SignedRequest, key: Uint8Array, time: string): string {
  const bodyDigest = createHash('sha256').update(body).digest('hex')
  const text = [version, time, method.toUpperCase(), path, bodyDigest].join('\n')
  return createHmac('sha256', key).update(text).digest('hex')
}
