import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

/**
 * Nothing of an answer may run, be framed, be cached or be read by another site. The resource
 * policy stops embedding (`<img src>`); it does not touch requests that CORS allows, so sites of
 * the CORS list show pictures with `<img crossorigin>`.
 */
const headers = {
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'cache-control': 'no-store',
} as const

const oneYearSeconds = 31_536_000

/** HSTS is sent only where the public address is https: on http a browser must ignore it. */
export function securityHeaders(publicUrl: string): Readonly<Record<string, string>> {
  if (!publicUrl.startsWith('https://')) return headers
  return {
    ...headers,
    'strict-transport-security': `max-age=${oneYearSeconds}; includeSubDomains`,
  }
}

export function registerSecurityHeaders(app: FastifyInstance, publicUrl: string): void {
  app.addHook('onRequest', async (request, reply) => {
    setSecurityHeaders(request, reply, publicUrl)
  })
}

export function setSecurityHeaders(
  request: FastifyRequest,
  reply: FastifyReply,
  publicUrl: string,
): void {
  reply.headers({ ...securityHeaders(publicUrl), 'x-request-id': request.id })
}
