import type { FastifyInstance, RouteOptions } from 'fastify'
import type { Caller } from '../../shared/domain/caller.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { Permission } from '../../shared/domain/permissions.ts'
import type { RateClass } from './rate-classes.ts'

/** What a route demands of its caller. Being open to everybody must be said out loud. */
export type RoutePermission = Permission | 'Public'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route has one: the app does not start otherwise. */
    permission?: RoutePermission
    /** How often it may be called; `Read` for GET and `Write` for the others when absent. */
    rateClass?: RateClass
    /** Codes of the faults that are this route's own, for the OpenAPI document. */
    problems?: readonly ErrorCode[]
    /** Media types of a body that is not JSON, for the OpenAPI document. */
    bodyTypes?: readonly string[]
    /** Headers of good answers, by status and name, with a sentence each. */
    answerHeaders?: Readonly<Record<string, Readonly<Record<string, string>>>>
  }
  interface FastifyRequest {
    /** Set by the authentication hook on every route that is not Public. */
    signedIn: SignedIn | null
  }
}

/** The signed-in person behind a request, and when the token that says so ends. */
export type SignedIn = { readonly caller: Caller; readonly expiresMs: number }

export type RouteFact = {
  readonly method: string
  readonly url: string
  readonly permission: RoutePermission
  readonly hidden: boolean
}

/**
 * Notes each route as it is added; when the app gets ready, one without a permission stops it.
 * The list also feeds the 405 answers and the tests of the permission matrix.
 */
export function guardRoutes(app: FastifyInstance): () => readonly RouteFact[] {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => {
    routes.push(route)
  })
  app.addHook('onReady', async () => {
    for (const route of routes) permissionOf(route)
  })
  return () => routes.flatMap(toFacts)
}

function toFacts(route: RouteOptions): readonly RouteFact[] {
  const { url, schema } = route
  const permission = permissionOf(route)
  const hidden = schema?.hide === true
  return [route.method].flat().map((method) => ({ method, url, permission, hidden }))
}

function permissionOf(route: RouteOptions): RoutePermission {
  const permission = route.config?.permission
  if (permission !== undefined) return permission
  throw new Error(`${String(route.method)} ${route.url} declares no permission`)
}
