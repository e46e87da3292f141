import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { mongo } from 'mongoose'
import { withDatabaseName } from '../../src/local/mongodb-uri.ts'
import { openDatabase } from '../../src/platform/mongo/database.ts'

/** A text that something left behind, such as one log file or one document. */
export type Page = { readonly place: string; readonly text: string }

/** Every file of a folder and of those in it whose name says that it is a log. */
export async function readLogs(folder: string): Promise<readonly Page[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const logs = entries.filter((entry) => entry.isFile() && /(^|[.-])log(\.\d+)?$/.test(entry.name))
  return await Promise.all(
    logs.map(async ({ parentPath, name }) => ({
      place: `the log ${name}`,
      text: await readFile(join(parentPath, name), 'utf8'),
    })),
  )
}

/** Every document of every collection. */
export async function readDatabase(database: mongo.Db): Promise<readonly Page[]> {
  const pages: Page[] = []
  for (const { name } of await database.listCollections().toArray()) {
    for await (const document of database.collection(name).find()) {
      pages.push({ place: `the collection ${name}`, text: JSON.stringify(document) })
    }
  }
  return pages
}

/** The same of all databases of a server, given without a database name. */
export async function readDatabases(mongodbUri: string): Promise<readonly Page[]> {
  const pages: Page[] = []
  for (const name of await listDatabases(mongodbUri)) {
    const database = await openDatabase({ uri: withDatabaseName(mongodbUri, name) })
    pages.push(...(await readDatabase(database.native)))
    await database.close()
  }
  return pages
}

async function listDatabases(mongodbUri: string): Promise<readonly string[]> {
  const database = await openDatabase({ uri: withDatabaseName(mongodbUri, 'admin') })
  try {
    const { databases } = await database.native.admin().listDatabases({ nameOnly: true })
    return databases.map(({ name }) => name)
  } finally {
    await database.close()
  }
}

/** Every key with its value. */
export async function readRedis(url: string): Promise<readonly Page[]> {
  const redis = new Redis(url, { protocol: 2 })
  try {
    const pages: Page[] = []
    for await (const keys of redis.scanStream({ count: 500 })) {
      // Typed as any by the package: SCAN answers with the names of keys.
      for (const key of keys as readonly string[]) {
        const text = JSON.stringify([key, await readValue(redis, key)])
        pages.push({ place: 'Redis', text })
      }
    }
    return pages
  } finally {
    redis.disconnect()
  }
}

async function readValue(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return await redis.get(key)
    case 'list':
      return await redis.lrange(key, 0, -1)
    case 'set':
      return await redis.smembers(key)
    case 'zset':
      return await redis.zrange(key, 0, '-1')
    case 'hash':
      return await redis.hgetall(key)
    case 'stream':
      return await redis.xrange(key, '-', '+')
    default:
      // It expired since it was listed.
      return null
  }
}
