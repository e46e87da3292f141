import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type Decision,
  decideDeletion,
  decideDisabling,
  decideEnabling,
  decideRole,
} from '../../../src/api/features/users/decisions.ts'
import { createDepartures } from '../../../src/api/features/users/departures.ts'
import { createUserDirectory } from '../../../src/api/features/users/directory.ts'
import {
  createPersonChanges,
  type PersonChanges,
} from '../../../src/api/features/users/person-changes.ts'
import type { UserRow, UserStore } from '../../../src/api/features/users/store.ts'
import { openPeople, type People } from '../../../src/api/people.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { openPubSub, type PubSub } from '../../../src/platform/redis/pub-sub.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { freeMembership } from '../../../src/shared/domain/membership.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import { testEnvironment } from '../../support/environment.ts'
import { startTestClock } from '../api-core/scene.ts'

let database: Database
let pubSub: PubSub
let people: People
const clock = startTestClock()
const name = `super-admins-${randomBytes(4).toString('hex')}`
const ids = ['u-a', 'u-b', 'u-c'] as const
type Id = (typeof ids)[number]

beforeAll(async () => {
  const environment = testEnvironment()
  database = await openDatabase({ uri: `${environment.mongodbUri}/${name}` })
  pubSub = openPubSub({ url: environment.redisUrl, prefix: `${name}:`, onError: () => undefined })
  const seal = createSeal(randomBytes(32), randomBytes)
  people = openPeople({ database, pubSub, seal, clock, randomBytes })
  for (const _id of ids) await people.users.insert(superAdmin(_id))
})
afterAll(async () => {
  await database.native.dropDatabase()
  await pubSub.close()
  await database.close()
})
beforeEach(restore)

describe('the last super admin', () => {
  it('remains however many remove each other at once, wherever the api dies', async () => {
    const ended: string[] = []
    const property = fc.asyncProperty(fc.array(command, commands), async (wishes) => {
      await restore()
      await Promise.all(wishes.map(async (wish) => ended.push(await run(wish))))
      expect(await activeSuperAdmins()).not.toEqual([])
    })
    await fc.assert(property, { numRuns: 100, seed: 20_260, endOnFailure: true })
    // Otherwise nothing was put to the test.
    expect(new Set(ended)).toEqual(new Set(['done', 'user.last_super_admin', 'died', 'user.state']))
  })

  it('is whoever is left of two who demote each other', async () => {
    await run({ kind: 'delete', target: 'u-c', death: 'None' })
    const both = await Promise.all(
      (['u-a', 'u-b'] as const).map(async (target) =>
        run({ kind: 'demote', target, death: 'None' }),
      ),
    )
    expect(both.toSorted()).not.toEqual(['done', 'done'])
    expect(await activeSuperAdmins()).not.toEqual([])
  })

  it.each(['demote', 'disable', 'delete'] as const)('cannot be the target of %s', async (kind) => {
    await run({ kind: 'disable', target: 'u-b', death: 'None' })
    await run({ kind: 'demote', target: 'u-c', death: 'None' })
    expect(await run({ kind, target: 'u-a', death: 'None' })).toBe('user.last_super_admin')
    expect(await activeSuperAdmins()).toEqual(['u-a'])
  })

  it('may leave once another one is back', async () => {
    await run({ kind: 'disable', target: 'u-b', death: 'None' })
    await run({ kind: 'delete', target: 'u-c', death: 'None' })
    await run({ kind: 'enable', target: 'u-b', death: 'None' })
    expect(await run({ kind: 'demote', target: 'u-a', death: 'None' })).toBe('done')
    expect(await activeSuperAdmins()).toEqual(['u-b'])
  })
})

describe('a departure that a crash left', () => {
  it('does not count as somebody who stays', async () => {
    await run({ kind: 'delete', target: 'u-c', death: 'None' })
    expect(await run({ kind: 'demote', target: 'u-b', death: 'Before' })).toBe('died')
    expect(await run({ kind: 'demote', target: 'u-a', death: 'None' })).toBe(
      'user.last_super_admin',
    )
  })

  it('is forgotten after a while, and its change can never come late', async () => {
    await run({ kind: 'delete', target: 'u-c', death: 'None' })
    const late = await people.users.find('u-b')
    await run({ kind: 'demote', target: 'u-b', death: 'Before' })
    clock.advance(20_000)
    expect(await run({ kind: 'demote', target: 'u-a', death: 'None' })).toBe('done')
    const audit = people.trail.entry('test', {
      action: 'user.role_changed',
      target: { kind: 'User', id: 'u-b', department: null },
    })
    const change = { set: { role: 'department_member' }, audit, nowMs: clock.nowMs() } as const
    expect(await people.users.change('u-b', { revision: late?.revision ?? 0 }, change)).toBeNull()
    expect(await activeSuperAdmins()).toEqual(['u-b'])
  })

  it('is finished by a repeat', async () => {
    expect(await run({ kind: 'delete', target: 'u-b', death: 'Before' })).toBe('died')
    expect(await run({ kind: 'delete', target: 'u-b', death: 'None' })).toBe('done')
    expect(await run({ kind: 'delete', target: 'u-a', death: 'After' })).toBe('died')
    expect(await run({ kind: 'delete', target: 'u-a', death: 'None' })).toBe('done')
    expect(await activeSuperAdmins()).toEqual(['u-c'])
  })
})

type Command = {
  readonly kind: 'demote' | 'disable' | 'delete' | 'promote' | 'enable'
  readonly target: Id
  /** Where the api dies: before or after the change of the row. */
  readonly death: 'None' | 'Before' | 'After'
}

const commands = { minLength: 2, maxLength: 5 }
const command: fc.Arbitrary<Command> = fc.record({
  kind: fc.oneof(
    { arbitrary: fc.constantFrom('demote', 'disable', 'delete'), weight: 4 },
    { arbitrary: fc.constantFrom('promote', 'enable'), weight: 1 },
  ),
  target: fc.constantFrom(...ids),
  death: fc.oneof(
    { arbitrary: fc.constant('None'), weight: 6 },
    { arbitrary: fc.constantFrom('Before', 'After'), weight: 1 },
  ),
})

const decisions: Readonly<Record<Command['kind'], (row: UserRow) => Decision | null>> = {
  demote: (row) => decideRole(row, 'department_member'),
  promote: (row) => decideRole(row, 'super_admin'),
  disable: decideDisabling,
  enable: decideEnabling,
  delete: decideDeletion,
}

/** One command on a replica of its own. Says how it ended. */
async function run({ kind, target, death }: Command): Promise<string> {
  try {
    await openReplica(death).apply(target, 'test', decisions[kind])
    return 'done'
  } catch (error) {
    if (error instanceof Died) return 'died'
    if (isAppError(error, 'user.last_super_admin') || isAppError(error, 'user.state')) {
      return error.code
    }
    throw error
  }
}

class Died extends Error {}

function openReplica(death: Command['death']): PersonChanges {
  const users: UserStore = {
    ...people.users,
    change: async (...change) => {
      if (death === 'Before') throw new Died()
      const row = await people.users.change(...change)
      if (death === 'After') throw new Died()
      return row
    },
  }
  const { newId, trail, changes } = people
  const { identities } = people.directory
  const directory = createUserDirectory({ users, identities, trail, changes, clock, newId })
  const departures = createDepartures({ database, users, clock })
  const errands = { finish: async () => undefined }
  return createPersonChanges({ directory, departures, errands, newId })
}

/** All are active super admins again, and what crashes left is old. */
async function restore(): Promise<void> {
  clock.advance(20_000)
  const set = { state: 'Active', role: 'super_admin', auditOutbox: [], errands: [] }
  await database.native.collection('users').updateMany({}, { $set: set, $inc: { revision: 1 } })
}

async function activeSuperAdmins(): Promise<readonly string[]> {
  const query = { role: 'super_admin', state: 'Active', limit: 10 } as const
  const rows = await people.users.page({ rows: { kind: 'All' }, ...query })
  return rows.map(({ _id }) => _id)
}

function superAdmin(_id: Id): UserRow {
  return {
    _id,
    email: `${_id}@site.example`,
    name: _id,
    language: 'en',
    role: 'super_admin',
    department: 'platform',
    state: 'Active',
    membership: freeMembership,
    passwordHash: null,
    creationTimeMs: 0,
    updateTimeMs: 0,
    revision: 1,
    auditOutbox: [],
  }
}
