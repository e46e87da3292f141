import type { FastifyInstance } from 'fastify'
import type { ApiMetrics } from '../metrics.ts'

/** Routes are labelled by template; everything unknown shares one label, so the set is bounded. */
export function registerRequestMetrics(app: FastifyInstance, metrics: ApiMetrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const isKnown = !request.is404 && request.routeOptions.url !== undefined
    const labels = {
      route: isKnown ? (request.routeOptions.url ?? 'unknown') : 'unknown',
      method: isKnown ? request.method : 'other',
      status: `${Math.floor(reply.statusCode / 100)}xx`,
    }
    metrics.requestSeconds.observe(labels, reply.elapsedTime / 1000)
  })
}
