import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { testEnvironment } from '../../support/environment.ts'
import { accountStoreContract } from '../../support/ledger/account-store-contract.ts'

let database: Database

beforeAll(async () => {
  const uri = new URL(testEnvironment().mongodbUri)
  uri.pathname = `/store-${randomBytes(5).toString('hex')}`
  database = await openDatabase({ uri: uri.toString(), connectionsMax: 4 })
})
afterAll(async () => {
  await database.native.dropDatabase()
  await database.close()
})

accountStoreContract('in the database', async () => {
  return await Promise.resolve(openAccountStore(database))
})
