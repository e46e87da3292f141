import mongoose, { type mongo } from 'mongoose'
import { AppError } from '../../shared/errors.ts'
import { type Documents, type Identified, wrapCollection } from './documents.ts'
import { reach } from './errors.ts'

export type DatabaseOptions = {
  /** With the database's name. */
  readonly uri: string
  /** Limit of one request and of finding a server; default 10 s. */
  readonly timeoutMs?: number
  readonly connectionsMax?: number
}

/** One database; conditional updates of single documents are all that we rely on. */
export type Database = {
  readonly documents: <T extends Identified>(name: string) => Documents<T>
  /** For index building only. */
  readonly native: mongo.Db
  readonly ping: () => Promise<boolean>
  readonly close: () => Promise<void>
}

/** Connects at once. Errors: `platform.unavailable`, `platform.misconfigured` for a bad address. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const timeoutMs = options.timeoutMs ?? 10_000
  const connection = mongoose.createConnection(requireName(options.uri), {
    autoIndex: false,
    autoCreate: false,
    bufferCommands: false,
    maxPoolSize: options.connectionsMax ?? 20,
    serverSelectionTimeoutMS: timeoutMs,
    connectTimeoutMS: timeoutMs,
    socketTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
  })
  try {
    await reach(async () => await connection.asPromise())
  } catch (error) {
    await connection.destroy()
    throw error
  }
  const native = connection.getClient().db(connection.name)
  return {
    documents: <T extends Identified>(name: string) => wrapCollection<T>(native, name),
    native,
    ping: async () => await answers(native),
    close: async () => await connection.close(),
  }
}

async function answers(native: mongo.Db): Promise<boolean> {
  try {
    await native.command({ ping: 1 })
    return true
  } catch {
    return false
  }
}

function requireName(uri: string): string {
  const named = URL.canParse(uri) && /^\/[^/]+/.test(new URL(uri).pathname)
  if (named) return uri
  throw new AppError('platform.misconfigured', 'MONGODB_URI must name a database: mongodb://…/name')
}
