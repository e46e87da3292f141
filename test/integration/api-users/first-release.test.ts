import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createIdentityStore } from '../../../src/api/features/users/identities.ts'
import { createUserStore } from '../../../src/api/features/users/store.ts'
import { migrations } from '../../../src/api/migrations/index.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { testEnvironment } from '../../support/environment.ts'

let database: Database

beforeAll(async () => {
  const name = `first-release-${randomBytes(4).toString('hex')}`
  database = await openDatabase({ uri: `${testEnvironment().mongodbUri}/${name}` })
})
afterAll(async () => {
  await database.native.dropDatabase()
  await database.close()
})

it('people of the first release keep their id and can sign in; twice changes nothing', async () => {
  const row = {
    _id: 'u-0123456789abcdef01234567',
    email: 'Ada@site.example',
    name: 'Ada',
    role: 'super_admin',
    department: 'vision',
    passwordHash: '$argon2id$…',
  }
  await database.documents('users').insert(row)
  const people = migrations.find(({ number }) => number === 4)
  await people?.up(database)
  const identity = await createIdentityStore(database).find('email:ada@site.example')
  expect(identity?.userId).toBe(row._id)
  const upgraded = await createUserStore(database).find(row._id)
  expect(upgraded).toMatchObject({ ...row, state: 'Active', revision: 1, auditOutbox: [] })
  await people?.up(database)
  expect(await createUserStore(database).find(row._id)).toEqual(upgraded)
})

it('all people of the first release are completed, however many there are', async () => {
  const people = Array.from({ length: 1100 }, (_, index) => ({
    _id: `u-${String(index).padStart(24, '0')}`,
    email: `worker-${index}@site.example`,
    name: 'Worker',
    role: 'department_member',
    department: 'vision',
    passwordHash: '$argon2id$…',
  }))
  await database.documents('users').insertMissing(people)
  for (const { up } of migrations) await up(database)
  const users = database.native.collection('users')
  expect(await users.countDocuments({ state: { $exists: false } })).toBe(0)
  const last = await createIdentityStore(database).find('email:worker-1099@site.example')
  expect(last?.userId).toBe(people.at(-1)?._id)
})
