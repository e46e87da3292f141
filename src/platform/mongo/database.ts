import type { mongo } from 'mongoose'
import { AppError } from '../../shared/errors.ts'
import { openConnection } from './connection.ts'
import { type Documents, type Identified, wrapCollection } from './documents.ts'

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
  const connection = await openConnection({
    uri: requireName(options.uri),
    timeoutMs: options.timeoutMs ?? 10_000,
    connectionsMax: options.connectionsMax ?? 20,
  })
  return {
    documents: <T extends Identified>(name: string) => wrapCollection<T>(connection, name),
    get native() {
      return connection.current()
    },
    ping: async () => {
      const ping = async () => await connection.current().command({ ping: 1 })
      return await connection.reach(ping).then(
        () => true,
        () => false,
      )
    },
    close: connection.close,
  }
}

function requireName(uri: string): string {
  const named = URL.canParse(uri) && /^\/[^/]+/.test(new URL(uri).pathname)
  if (named) return uri
  throw new AppError('platform.misconfigured', 'MONGODB_URI must name a database: mongodb://…/name')
}
