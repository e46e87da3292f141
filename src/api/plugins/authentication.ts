import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { assert } from '../../shared/assert.ts'
import type { Caller, Origin } from '../../shared/domain/caller.ts'
import { requirePermission } from '../../shared/domain/permissions.ts'
import { credentialOf } from './credentials.ts'
import type { SignedIn } from './route-config.ts'
import { needsSameSite, requireSameSite } from './same-site.ts'

const userAgentLengthMax = 256

export type VerifyToken = (token: string) => Promise<SignedIn>

export type AuthenticationOptions = {
  /** Takes an access token or an API key. Throws `auth.invalid_token`. */
  readonly verifyToken: VerifyToken
  readonly publicUrl: string
}

/**
 * Before a body is even read: no token, no answer. The services check the permission again, so
 * this is the outer of two walls.
 */
export async function registerAuthentication(
  app: FastifyInstance,
  { verifyToken, publicUrl }: AuthenticationOptions,
): Promise<void> {
  await app.register(fastifyCookie)
  app.decorateRequest('signedIn', null)
  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config
    if (request.is404 || permission === 'Public') return
    assert(permission !== undefined, 'guardRoutes refused a route without a permission')
    const { transport, token } = credentialOf(request)
    if (transport === 'Cookie' && needsSameSite(request)) requireSameSite(request, publicUrl)
    const { caller, expiresMs } = await verifyToken(token)
    request.signedIn = { caller: { ...caller, origin: originOf(request) }, expiresMs }
    requirePermission(caller, permission)
  })
}

/** Who calls a route that is not Public, and until when. */
export function signedInOf(request: FastifyRequest): SignedIn {
  assert(request.signedIn !== null, 'the route is Public and has no caller')
  return request.signedIn
}

export function callerOf(request: FastifyRequest): Caller {
  return signedInOf(request).caller
}

/** From where a request came, for the audit log; also on routes that are Public. */
export function originOf({ ip, id, headers }: FastifyRequest): Origin {
  const userAgent = (headers['user-agent'] ?? '').slice(0, userAgentLengthMax).toWellFormed()
  return { ip, userAgent, requestId: id }
}
