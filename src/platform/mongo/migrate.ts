import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import type { Database } from './database.ts'
import type { DatabaseLease } from './lease.ts'

/** One step of the schema. Must be safe to repeat: a crash may have happened in the middle. */
export type Migration = {
  readonly number: number
  readonly name: string
  readonly up: (database: Database) => Promise<void>
}

type SchemaDocument = { readonly _id: string; readonly version: number }

export type MigrateOptions = {
  readonly database: Database
  readonly migrations: readonly Migration[]
  readonly lock: DatabaseLease
  /** Waits between looks at a lock that another process holds. */
  readonly pause: (ms: number) => Promise<void>
}

const looksMax = 300
const lookEveryMs = 200

/**
 * Brings the schema to the newest version, one step after the other, in one process at a time.
 * Errors: `platform.misconfigured` when the database is newer than this program.
 */
export async function migrate(options: MigrateOptions): Promise<number> {
  const { database, migrations, lock, pause } = options
  migrations.forEach(({ number }, index) => {
    assert(number === index + 1, 'migrations are numbered 1, 2, 3 …')
  })
  for (let look = 0; look < looksMax; look += 1) {
    const version = await readVersion(database)
    if (version === migrations.length) return version
    refuseUnknown(version, migrations.length)
    if (await lock.acquire()) return await runAll(options)
    await pause(lookEveryMs)
  }
  throw new AppError('platform.unavailable', 'another process holds the migration lock')
}

async function runAll({ database, migrations, lock }: MigrateOptions): Promise<number> {
  try {
    const version = await readVersion(database)
    refuseUnknown(version, migrations.length)
    for (const migration of migrations.slice(version)) {
      await migration.up(database)
      await writeVersion(database, migration.number)
      const isStillOurs = await lock.acquire()
      assert(isStillOurs, 'the migration lock is renewed between steps')
    }
    return await readVersion(database)
  } finally {
    await lock.release()
  }
}

async function readVersion(database: Database): Promise<number> {
  const found = await database.documents<SchemaDocument>('schema').findById('version')
  return found?.version ?? 0
}

async function writeVersion(database: Database, version: number): Promise<void> {
  const schema = database.documents<SchemaDocument>('schema')
  const isUpdated = await schema.update({ _id: 'version' }, { $set: { version } })
  if (!isUpdated) await schema.insert({ _id: 'version', version })
}

function refuseUnknown(version: number, newest: number): void {
  if (version <= newest) return
  const message = `the database has schema ${version}, this program knows up to ${newest}`
  throw new AppError('platform.misconfigured', message)
}
