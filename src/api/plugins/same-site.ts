import type { FastifyRequest } from 'fastify'
import { AppError } from '../../shared/errors.ts'

/**
 * A browser sends cookies without being asked by our own page. So whatever a cookie authenticates
 * and that changes something, and every socket, must come from our own site: by Fetch Metadata,
 * and by Origin from browsers without it. Throws `auth.cross_site`, also when neither is there.
 */
export function requireSameSite({ headers }: FastifyRequest, publicUrl: string): void {
  const site = headers['sec-fetch-site']
  const isOwn =
    site === undefined ? headers.origin === new URL(publicUrl).origin : site === 'same-origin'
  if (isOwn) return
  throw new AppError('auth.cross_site', 'cookies count only for requests from our own pages')
}

/** Reading is safe: another site cannot see the answer. A socket is more than reading. */
export function needsSameSite({ method, headers }: FastifyRequest): boolean {
  return !['GET', 'HEAD'].includes(method) || headers.upgrade !== undefined
}
