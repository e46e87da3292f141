import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'
import { type ServerMessage, serverMessage } from '../../src/shared/wire/realtime.ts'

export type SocketEnding = { readonly code: number; readonly reason: string }

/** A WebSocket as a browser or another program would open it. */
export type SocketClient = {
  readonly webSocket: WebSocket
  /** Everything that came, each checked against the wire's schema. */
  readonly messages: readonly ServerMessage[]
  readonly of: <Event extends ServerMessage['event']>(
    event: Event,
  ) => readonly Extract<ServerMessage, { event: Event }>[]
  /** The newest one. */
  readonly cursor: () => string | undefined
  readonly send: (message: string | Buffer | object) => void
  readonly ended: Promise<SocketEnding>
  readonly close: () => Promise<void>
}

export type Headers = Readonly<Record<string, string>>

/** Fails with the status when it is not 101. */
export async function openSocketClient(url: string, headers: Headers = {}): Promise<SocketClient> {
  const webSocket = new WebSocket(url, { headers: { ...headers } })
  const messages: ServerMessage[] = []
  webSocket.on('message', (data) => {
    messages.push(serverMessage.parse(JSON.parse(Buffer.isBuffer(data) ? data.toString() : '')))
  })
  const ended = new Promise<SocketEnding>((resolve) => {
    webSocket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  const status = await handshake(webSocket)
  if (status !== 101) throw new Error(`no socket: ${status}`)
  const of: SocketClient['of'] = (event) =>
    messages.filter((message): message is Extract<ServerMessage, { event: typeof event }> => {
      return message.event === event
    })
  return {
    webSocket,
    messages,
    of,
    cursor: () => (of('cursor').at(-1) ?? of('hello').at(-1))?.cursor,
    send: (message) => webSocket.send(isRaw(message) ? message : JSON.stringify(message)),
    ended,
    close: async () => {
      webSocket.close()
      await ended
    },
  }
}

/** The status of the answer to an upgrade: 101, or why there is no socket. */
export async function knock(url: string, headers: Headers = {}): Promise<number> {
  const webSocket = new WebSocket(url, { headers: { ...headers } })
  const status = await handshake(webSocket)
  webSocket.on('error', () => undefined)
  webSocket.terminate()
  return status
}

async function handshake(webSocket: WebSocket): Promise<number> {
  const refused = new Promise<number>((resolve) => {
    webSocket.on('unexpected-response', (_request, response: IncomingMessage) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
  return await Promise.race([once(webSocket, 'open').then(() => 101), refused])
}

function isRaw(message: string | Buffer | object): message is string | Buffer {
  return typeof message === 'string' || Buffer.isBuffer(message)
}
