import type { FastifyInstance } from 'fastify'

/**
 * One line per request. The address is the route's template and never what the client sent:
 * a query may hold a signature. No header, body, prompt or mail address is ever a field.
 */
export function registerRequestLog(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    const fields = {
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime),
      userId: request.signedIn?.caller.userId,
    }
    request.log.info(fields, 'request answered')
  })
}
