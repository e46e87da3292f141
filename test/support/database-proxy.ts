import { once } from 'node:events'
import { createServer, connect, type Socket } from 'node:net'

/** A proxy in front of a MongoDB-like database that can keep a message from ever arriving. */
export type DatabaseProxy = {
  /** Leads a client through the proxy; without a database's name. */
  readonly uri: string
  /**
   * From now on every message to the database that has all of these texts in it is kept, and so is
   * all that follows on its connection. Resolves when the first one has come.
   */
  readonly withhold: (texts: readonly string[]) => Promise<void>
  /** Keeps nothing more; what was kept stays so. */
  readonly release: () => void
  readonly close: () => Promise<void>
}

type Trap = { readonly texts: readonly string[]; readonly caught: () => void }

/** `uri` names one server, without TLS and without compression. */
export async function startDatabaseProxy(uri: string): Promise<DatabaseProxy> {
  const target = new URL(uri)
  const sockets = new Set<Socket>()
  let trap: Trap | undefined
  const isWithheld = (message: Buffer): boolean => {
    if (trap?.texts.every((text) => message.includes(text)) !== true) return false
    trap.caught()
    return true
  }
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    upstream.pipe(client)
    forward(client, upstream, isWithheld)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return {
    // Direct: a replica set would tell the client where its members really are.
    uri: `mongodb://127.0.0.1:${address.port}/?directConnection=true`,
    withhold: async (texts) =>
      await new Promise<void>((resolve) => {
        trap = { texts, caught: resolve }
      }),
    release: () => {
      trap = undefined
    },
    close: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

/** Message by message: each begins with its length in four bytes, the smallest first. */
function forward(client: Socket, upstream: Socket, isWithheld: (message: Buffer) => boolean): void {
  let rest = Buffer.alloc(0)
  let isStuck = false
  client.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    while (!isStuck && rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0))
      isStuck = isWithheld(message)
      if (!isStuck) upstream.write(message)
      rest = rest.subarray(message.length)
    }
  })
}
