import type { FastifyInstance } from 'fastify'
import { AppError } from '../../shared/errors.ts'

/**
 * The `handlerTimeout` of routes whose requests have a body: Fastify 5.12 stops its own timer as
 * soon as the body has been read, which is before the handler begins.
 */
export function registerBodyTimeouts(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    const { handlerTimeout } = request.routeOptions
    if (request.method === 'GET') return
    const timer = setTimeout(() => {
      if (!reply.raw.headersSent) reply.send(tooSlow(handlerTimeout))
    }, handlerTimeout)
    reply.raw.once('close', () => clearTimeout(timer))
  })
}

function tooSlow(timeoutMs: number): AppError {
  const message = `there was no answer within ${timeoutMs / 1000} seconds`
  return new AppError('platform.unavailable', message)
}
