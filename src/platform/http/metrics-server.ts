import { createServer, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'
import type { ListenAddress } from '../config/fields.ts'
import { closeAtOnce, listenOn } from './listen.ts'

export type MetricsServerOptions = {
  readonly listen: ListenAddress
  readonly registry: Registry
  /** Whether this process can do its work now. */
  readonly ready: () => boolean
  /** Whether it should be restarted; healthy unless told otherwise. */
  readonly healthy?: (() => boolean) | undefined
}

export type MetricsServer = {
  /** Where it listens, with the port that was really taken. */
  readonly address: ListenAddress
  readonly close: () => Promise<void>
}

/** Serves /healthz, /readyz and /metrics; `platform.misconfigured` when the port is taken. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '/'
    answer(path, { options, response }).catch((error: unknown) => {
      send(response, 500, `the metrics cannot be collected: ${String(error)}`)
    })
  })
  const port = await listenOn(server, options.listen)
  return {
    address: { host: options.listen.host, port },
    close: async () => await closeAtOnce(server),
  }
}

type Exchange = { readonly options: MetricsServerOptions; readonly response: ServerResponse }

async function answer(path: string, { options, response }: Exchange): Promise<void> {
  switch (path) {
    case '/healthz':
      return sendState(response, options.healthy?.() ?? true)
    case '/readyz':
      return sendState(response, options.ready())
    case '/metrics': {
      const text = await options.registry.metrics()
      response.setHeader('content-type', options.registry.contentType)
      return send(response, 200, text)
    }
    default:
      return send(response, 404, 'there is only /healthz, /readyz and /metrics')
  }
}

function sendState(response: ServerResponse, good: boolean): void {
  send(response, good ? 200 : 503, good ? 'ok' : 'not ready')
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'text/plain')
  response.writeHead(status).end(text)
}
