import mongoose from 'mongoose'
import { z } from 'zod'
import { AppError } from '../../shared/errors.ts'

/** What the engine behind the MongoDB protocol can do. */
export type DatabaseAbilities = {
  readonly engine: string
  readonly transactions: boolean
  readonly changeStreams: boolean
}
type Client = mongoose.mongo.MongoClient
type Probe = { readonly _id: string; readonly balance: number }

const buildInfo = z.object({
  version: z.string(),
  ferretdb: z.object({ version: z.string() }).optional(),
})

const connections = 8
const rounds = 12
const selectionTimeoutMs = 5000
const probeDatabaseName = 'atelier_probe'

/**
 * Every credit movement is one conditional update of one document: an engine that loses such
 * updates under concurrency (read, change, write back) would lose money, so it is refused.
 * @throws AppError platform.misconfigured when the engine is not fit.
 */
export async function probeDatabase(uri: string): Promise<DatabaseAbilities> {
  const clients = await Promise.all(Array.from({ length: connections }, () => open(uri)))
  const [first] = clients
  try {
    if (first === undefined) throw new Error('no connection')
    const database = first.db(probeDatabaseName)
    await checkAtomic(clients)
    const abilities = {
      engine: await engineOf(first),
      transactions: await hasTransactions(first),
      changeStreams: await hasChangeStreams(first),
    }
    await database.dropDatabase()
    return abilities
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

/** True when the address answers a ping. Rejects while nobody listens. */
export async function isServing(uri: string): Promise<boolean> {
  const client = await open(uri)
  try {
    await client.db('admin').command({ ping: 1 })
    return true
  } finally {
    await client.close()
  }
}

async function open(uri: string): Promise<Client> {
  const options = { serverSelectionTimeoutMS: selectionTimeoutMs, maxPoolSize: 1 }
  return new mongoose.mongo.MongoClient(uri, options).connect()
}

async function checkAtomic(clients: readonly Client[]): Promise<void> {
  const id = new mongoose.mongo.ObjectId().toHexString()
  const accounts = clients.map((client) => client.db(probeDatabaseName).collection<Probe>('atomic'))
  const balance = (connections * rounds) / 2
  await accounts[0]?.insertOne({ _id: id, balance })
  const taken = await Promise.all(accounts.map((collection) => takeOften(collection, id)))
  const left = (await accounts[0]?.findOne({ _id: id }))?.balance
  judgeAtomicity({ balance, left, taken: taken.reduce((sum, count) => sum + count, 0) })
}

/** Whoever was told to have taken a credit must have taken one, and nobody may take what is gone. */
export function judgeAtomicity(facts: {
  readonly balance: number
  readonly taken: number
  readonly left: number | undefined
}): void {
  const { balance, taken, left } = facts
  if (taken === balance && left === 0) return
  throw new AppError(
    'platform.misconfigured',
    `The database is not fit: ${connections} connections took ${taken} of ${balance} credits ` +
      `and left ${left}. Its conditional updates are not atomic (FerretDB 1 is like that). ` +
      'Use MongoDB 6 or later, or FerretDB 2 with DocumentDB.',
  )
}

async function takeOften(
  collection: mongoose.mongo.Collection<Probe>,
  id: string,
): Promise<number> {
  let count = 0
  for (let round = 0; round < rounds; round += 1) {
    const filter = { _id: id, balance: { $gte: 1 } }
    count += (await collection.updateOne(filter, { $inc: { balance: -1 } })).modifiedCount
  }
  return count
}

async function engineOf(client: Client): Promise<string> {
  const answer = await client.db('admin').command({ buildInfo: 1 })
  const { version, ferretdb } = buildInfo.parse(answer)
  return ferretdb === undefined
    ? `MongoDB ${version}`
    : `FerretDB ${ferretdb.version}, as MongoDB ${version}`
}

async function hasTransactions(client: Client): Promise<boolean> {
  const collection = client.db(probeDatabaseName).collection('transaction')
  const session = client.startSession()
  try {
    session.startTransaction()
    await collection.insertOne({ a: 1 }, { session })
    await session.abortTransaction()
    return (await collection.countDocuments()) === 0
  } catch {
    return false
  } finally {
    await session.endSession()
  }
}

async function hasChangeStreams(client: Client): Promise<boolean> {
  const stream = client.db(probeDatabaseName).collection('changes').watch([], { maxAwaitTimeMS: 1 })
  try {
    await stream.tryNext()
    return true
  } catch {
    return false
  } finally {
    await stream.close()
  }
}
