import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionView, Transport } from '../../../shared/wire/sessions.ts'
import { accessCookie, refreshCookie } from '../../plugins/credentials.ts'

/** RFC 6265bis: the prefix keeps other hosts and plain HTTP from setting or seeing them. */
const attributes = { httpOnly: true, secure: true, sameSite: 'strict', path: '/' } as const

export type Handover = {
  readonly session: SessionView
  readonly transport: Transport
  readonly nowMs: number
}

/** The session as the client wants it: tokens in the answer, or in cookies and not in the answer. */
export function handOver(
  reply: FastifyReply,
  { session, transport, nowMs }: Handover,
): SessionView {
  const { accessToken, refreshToken, expiresIn, refreshExpiresTime } = session
  if (transport === 'Bearer') return session
  const refreshMs = Date.parse(refreshExpiresTime) - nowMs
  reply
    .setCookie(accessCookie, accessToken ?? '', { ...attributes, maxAge: expiresIn })
    .setCookie(refreshCookie, refreshToken ?? '', {
      ...attributes,
      maxAge: Math.max(0, Math.floor(refreshMs / 1000)),
    })
  return { ...session, accessToken: null, refreshToken: null }
}

export function clearSessionCookies(reply: FastifyReply): void {
  reply.clearCookie(accessCookie, attributes).clearCookie(refreshCookie, attributes)
}

export function refreshCookieOf(request: FastifyRequest): string | undefined {
  return request.cookies[refreshCookie]
}
