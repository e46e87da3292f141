import type { FastifyRequest } from 'fastify'
import { AppError } from '../../shared/errors.ts'

export const accessCookie = '__Host-atelier-access'
export const refreshCookie = '__Host-atelier-refresh'
/** What every API key begins with. */
export const apiKeyPrefix = 'ak_'

const tokenLengthMax = 4096

export type Credential = {
  readonly transport: 'Header' | 'Cookie'
  /** An access token or an API key. */
  readonly token: string
}

/** The Authorization header, or else the cookie. Errors: `auth.required`, `auth.invalid_token`. */
export function credentialOf({ headers, cookies }: FastifyRequest): Credential {
  if (headers.authorization !== undefined) {
    return { transport: 'Header', token: readAuthorization(headers.authorization) }
  }
  const token = cookies[accessCookie]
  if (token === undefined || token === '') {
    throw new AppError('auth.required', 'send Authorization: Bearer …')
  }
  if (token.length <= tokenLengthMax) return { transport: 'Cookie', token }
  throw new AppError('auth.invalid_token', 'the session cookie is not a token')
}

function readAuthorization(header: string): string {
  const [scheme = '', value = '', ...rest] = header.split(' ')
  const isReadable = value !== '' && rest.length === 0 && value.length <= tokenLengthMax
  if (isReadable && scheme.toLowerCase() === 'bearer') return value
  const password = isReadable && scheme.toLowerCase() === 'basic' ? readPassword(value) : ''
  // For programs that know Basic only. A person's own password is for signing in, nowhere else.
  if (password.startsWith(apiKeyPrefix)) return password
  throw new AppError(
    'auth.invalid_token',
    'the Authorization header is no bearer token and has no API key as its password',
  )
}

/** RFC 7617: whatever follows the first colon. */
function readPassword(value: string): string {
  const text = Buffer.from(value, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon === -1 ? '' : text.slice(colon + 1)
}
