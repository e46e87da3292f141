import type { IncomingMessage } from 'node:http'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { messageBytesMax, socketPath, socketQuery } from '../../shared/wire/realtime.ts'
import type { ApiApp } from '../plugins/api-app.ts'
import type { Admitted } from './admission.ts'
import type { Realtime } from './open-realtime.ts'

/** Only this address makes sockets: the plugin would accept, and log, every other one too. */
export function isSocketRequest({ url = '', headers }: IncomingMessage): boolean {
  return url.split('?', 1)[0] === socketPath && headers.upgrade?.toLowerCase() === 'websocket'
}

/**
 * The socket's address. Public for the guard of routes: its ticket, which is checked before the
 * upgrade, says who comes. Described with the route that gives tickets, as OpenAPI has no sockets.
 */
export async function registerSocketRoute(
  app: ApiApp,
  { admit, accept, stop }: Pick<Realtime, 'admit' | 'accept' | 'stop'>,
): Promise<void> {
  const admitted = new WeakMap<FastifyRequest, Admitted>()
  // Before the plugin's own hook, which would close without a reason.
  app.addHook('preClose', stop)
  await app.register(fastifyWebsocket, {
    options: { maxPayload: messageBytesMax, perMessageDeflate: false },
    // ws closes with the right code by itself; the plugin would cut the connection before.
    errorHandler: (error, _webSocket, request) =>
      request.log.info({ err: error }, 'a socket failed'),
  })
  app.route({
    method: 'GET',
    url: socketPath,
    config: { permission: 'Public' },
    schema: { hide: true, querystring: socketQuery },
    preHandler: async (request) => {
      const { ticket, cursor } = request.query
      if (!request.ws) throw new AppError('request.invalid', 'open this address as a WebSocket')
      const { origin } = request.headers
      const connection = request.raw.socket
      admitted.set(request, await admit({ origin, ticket, cursor, connection }))
    },
    wsHandler: (webSocket, request) => {
      const who = admitted.get(request)
      assert(who !== undefined, 'nobody comes here without having been admitted')
      accept({ webSocket, connection: request.raw.socket }, who)
    },
    // The hook above has refused everything that is no upgrade.
    handler: () => undefined,
  })
}
