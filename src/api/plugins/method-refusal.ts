import type { FastifyInstance } from 'fastify'
import { AppError } from '../../shared/errors.ts'
import type { RouteFact } from './route-config.ts'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

/** Known address, unknown method: 405 with Allow, before any body is read. */
export function registerMethodRefusals(app: FastifyInstance, routes: readonly RouteFact[]): void {
  for (const [url, allowed] of Map.groupBy(routes, (route) => route.url)) {
    const known = new Set(allowed.map(({ method }) => method))
    const allow = [...known].toSorted().join(', ')
    app.route({
      method: methods.filter((method) => !known.has(method)),
      url,
      schema: { hide: true },
      config: { permission: 'Public' },
      onRequest: async (_request, reply) => {
        reply.header('allow', allow)
        throw new AppError('request.method_not_allowed', `this address knows ${allow}`)
      },
      handler: () => undefined,
    })
  }
}
