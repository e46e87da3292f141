import type { FastifyInstance, FastifyRequest } from 'fastify'
import { assert } from '../../shared/assert.ts'
import type { Caller } from '../../shared/domain/caller.ts'
import { requirePermission } from '../../shared/domain/permissions.ts'
import { AppError } from '../../shared/errors.ts'
import type { SignedIn } from './route-config.ts'

const tokenLengthMax = 4096

export type VerifyToken = (token: string) => Promise<SignedIn>

/**
 * Before a body is even read: no token, no answer. The services check the permission again, so
 * this is the outer of two walls.
 */
export function registerAuthentication(app: FastifyInstance, verifyToken: VerifyToken): void {
  app.decorateRequest('signedIn', null)
  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config
    if (request.is404 || permission === 'Public') return
    assert(permission !== undefined, 'guardRoutes refused a route without a permission')
    const signedIn = await verifyToken(readBearer(request))
    request.signedIn = signedIn
    requirePermission(signedIn.caller, permission)
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

function readBearer(request: FastifyRequest): string {
  const header = request.headers.authorization
  if (header === undefined) throw new AppError('auth.required', 'send Authorization: Bearer …')
  const [scheme, token, ...rest] = header.split(' ')
  const wellFormed = scheme?.toLowerCase() === 'bearer' && token !== undefined && token !== ''
  if (wellFormed && rest.length === 0 && token.length <= tokenLengthMax) return token
  throw new AppError('auth.invalid_token', 'the Authorization header is not a bearer token')
}
