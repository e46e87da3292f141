import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/** Nothing of an answer may run, be framed, be cached or be read by another site. */
const headers = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'cache-control': 'no-store',
} as const

export function registerSecurityHeaders(app: FastifyInstance, publicUrl: string): void {
  app.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(request, reply, publicUrl)
  })
}

/** HSTS is sent only where the public address is https: on http a browser must ignore it. */
export function setSecurityHeaders(
  request: FastifyRequest,
  reply: FastifyReply,
  publicUrl: string,
): void {
  reply.headers({ ...headers, 'x-request-id': request.id })
  if (!publicUrl.startsWith('https://')) return
  reply.header('strict-transport-security', 'max-age=31536000; includeSubDomains')
}
