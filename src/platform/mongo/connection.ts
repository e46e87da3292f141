import mongoose, { mongo, type Connection as NativeConnection } from 'mongoose'
import { withDeadline } from '../clock/deadline.ts'
import { reach } from './errors.ts'

export type ConnectionOptions = {
  readonly uri: string
  readonly timeoutMs: number
  readonly connectionsMax: number
}

/** The way to a database. Another connection takes the place of one that is stuck. */
export type Connection = {
  /** For one request: ask again for the next one. */
  readonly current: () => mongo.Db
  /** Runs a request; a database that does not answer becomes `platform.unavailable`. */
  readonly reach: <T>(request: () => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

/** Finding a server, waiting for a connection and for the answer, each tried twice. */
const timeoutsMax = 6

/**
 * The driver (7.8.0) may wait for ever for an answer on a monitoring connection that was closed at
 * the wrong moment, and then finds its server never again, although that is back: seen after some
 * ten kills of the database. So whoever finds no server has another connection tried, one at a
 * time; when it reaches the database, it takes the place of the old one.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const deadlineMs = options.timeoutMs * timeoutsMax
  const lateError = () => new mongo.MongoNetworkTimeoutError(`no answer in ${deadlineMs} ms`)
  let connection = await reach(async () => await connect(options))
  let database = databaseOf(connection)
  let renewal: Promise<void> | undefined
  let isClosed = false
  const renew = async () => {
    const fresh = await connect(options).catch(() => undefined)
    if (fresh === undefined) return
    const old = isClosed ? fresh : connection
    if (!isClosed) {
      connection = fresh
      database = databaseOf(fresh)
    }
    await old.close().catch(() => undefined)
  }
  return {
    current: () => database,
    reach: async (request) => {
      try {
        // The same fault of the driver may leave any request without an end.
        return await reach(async () => await withDeadline(request(), deadlineMs, lateError))
      } catch (error) {
        if (hasFoundNoServer(error)) renewal ??= renew().finally(() => (renewal = undefined))
        throw error
      }
    },
    close: async () => {
      isClosed = true
      await renewal
      await connection.close()
    },
  }
}

async function connect(options: ConnectionOptions): Promise<NativeConnection> {
  const { uri, timeoutMs, connectionsMax } = options
  const connection = mongoose.createConnection(uri, {
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
    maxPoolSize: connectionsMax,
    serverSelectionTimeoutMS: timeoutMs,
    connectTimeoutMS: timeoutMs,
    socketTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
  })
  try {
    return await connection.asPromise()
  } catch (error) {
    await connection.destroy()
    throw error
  }
}

function databaseOf(connection: NativeConnection): mongo.Db {
  return connection.getClient().db(connection.name)
}

function hasFoundNoServer(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof mongo.MongoServerSelectionError
}
