import { createServer, connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { z } from 'zod'

/** One event of a stream as it came over the wire. */
export type SentEvent = { readonly name: string; readonly id: string; readonly data: unknown }

export type EventReader = {
  readonly status: number
  readonly headers: Headers
  /** The next event, comments left out; null at the end of the stream. */
  readonly next: () => Promise<SentEvent | null>
  /** Raw text so far. */
  readonly text: () => string
  readonly cancel: () => void
}

/** Reads server-sent events from a real port. */
export async function openEvents(url: string, token: string): Promise<EventReader> {
  const controller = new AbortController()
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
    signal: AbortSignal.any([controller.signal, AbortSignal.timeout(60_000)]),
  })
  const decoder = new TextDecoder()
  let text = ''
  let taken = 0
  const chunks = response.body?.[Symbol.asyncIterator]()
  const next = async (): Promise<SentEvent | null> => {
    for (;;) {
      const end = text.indexOf('\n\n', taken)
      if (end >= 0) {
        const block = text.slice(taken, end)
        taken = end + 2
        if (!block.startsWith(':')) return parseBlock(block)
        continue
      }
      const chunk = await chunks?.next()
      if (chunk === undefined || chunk.done === true) return null
      text += decoder.decode(z.instanceof(Uint8Array).parse(chunk.value), { stream: true })
    }
  }
  return {
    status: response.status,
    headers: response.headers,
    next,
    text: () => text,
    cancel: () => controller.abort(),
  }
}

function parseBlock(block: string): SentEvent {
  const fields = new Map(
    block.split('\n').map((line) => {
      const at = line.indexOf(': ')
      return [line.slice(0, at), line.slice(at + 2)] as const
    }),
  )
  const data: unknown = JSON.parse(fields.get('data') ?? 'null')
  return { name: fields.get('event') ?? '', id: fields.get('id') ?? '', data }
}

export type TcpProxy = {
  readonly port: number
  /** Ends every connection and refuses new ones. */
  readonly cut: () => void
  /** Keeps connections but passes nothing on, until it thaws. */
  readonly freeze: () => void
  readonly thaw: () => void
  readonly restore: () => void
  readonly close: () => Promise<void>
}

/** A proxy in front of the database or Redis that can go away. */
export async function openTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const held: (() => void)[] = []
  let mode: 'open' | 'cut' | 'frozen' = 'open'
  const server = createServer((client) => {
    if (mode === 'cut') {
      client.destroy()
      return
    }
    const upstream = connect(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      from.on('data', (chunk) => {
        if (mode === 'open') to.write(chunk)
        else held.push(() => to.write(chunk))
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: ownPort } = z.object({ port: z.int() }).parse(server.address())
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: ownPort,
    cut: () => {
      mode = 'cut'
      destroyAll()
    },
    freeze: () => {
      mode = 'frozen'
    },
    thaw: () => {
      mode = 'open'
      for (const pass of held.splice(0)) pass()
    },
    restore: () => {
      mode = 'open'
      held.length = 0
      destroyAll()
    },
    close: async () => {
      server.close()
      destroyAll()
      await Promise.resolve()
    },
  }
}
