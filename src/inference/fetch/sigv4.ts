import { createHash, createHmac } from 'node:crypto'
import { assert } from '../../shared/assert.ts'

export type S3Credentials = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

export type S3Get = {
  /** Without a query, and with a path that needs no escapes. */
  readonly url: URL
  /** Signed as well. */
  readonly headers: Readonly<Record<string, string>>
  readonly credentials: S3Credentials
  readonly region: string
  readonly nowMs: number
}

const algorithm = 'AWS4-HMAC-SHA256'
const emptyBody = createHash('sha256').update('').digest('hex')

/**
 * The headers of a signed GET, with those given. AWS Signature Version 4 for S3:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function signS3Get(get: S3Get): Record<string, string> {
  const { url, credentials, region, nowMs } = get
  assert(url.search === '', 'addresses of packs have no query')
  const time = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const scope = [time.slice(0, 8), region, 's3', 'aws4_request']
  const { sessionToken } = credentials
  const headers: Record<string, string> = {
    ...get.headers,
    'x-amz-content-sha256': emptyBody,
    'x-amz-date': time,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
  }
  const signed = Object.entries({ ...headers, host: url.host }).toSorted(([left], [right]) =>
    left < right ? -1 : 1,
  )
  const names = signed.map(([name]) => name).join(';')
  const lines = signed.map(([name, value]) => `${name}:${value.trim()}\n`).join('')
  const canonical = ['GET', url.pathname, '', lines, names, emptyBody].join('\n')
  const toSign = [algorithm, time, scope.join('/'), sha256(canonical)].join('\n')
  const key = scope.reduce<HmacKey>(
    (before, part) => hmac(before, part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  )
  const credential = [credentials.accessKeyId, ...scope].join('/')
  const signature = hmac(key, toSign).digest('hex')
  const proof = `Credential=${credential},SignedHeaders=${names},Signature=${signature}`
  return { ...headers, authorization: `${algorithm} ${proof}` }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

type HmacKey = string | Uint8Array

function hmac(key: HmacKey, text: string) {
  return createHmac('sha256', key).update(text)
}
