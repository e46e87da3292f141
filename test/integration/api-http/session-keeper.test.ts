import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Notifier } from '../../../src/api/features/notifications/contract.ts'
import {
  openSessions,
  type SessionDeps,
  type Sessions,
} from '../../../src/api/features/sessions/open.ts'
import { createPasswords } from '../../../src/api/features/sessions/passwords.ts'
import { uncountedAttempts } from '../../../src/api/features/sessions/sign-in-attempts.ts'
import { createSessionStore, type SessionRow } from '../../../src/api/features/sessions/store.ts'
import type { People } from '../../../src/api/people.ts'
import type { UserChange } from '../../../src/api/features/users/store.ts'
import type { Mail } from '../../../src/api/mail/mailer.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { canaryPassword } from '../../support/canary.ts'
import { publicUrl, startApi, type TestApi } from './harness.ts'

const origin = { ip: '192.0.2.1', userAgent: 'test', requestId: 'request-1' }
const password = canaryPassword

let api: TestApi
let userId: string
beforeAll(async () => {
  api = await startApi()
  const mina = await api.core.people.directory.findByEmail(api.emailOf('mina'))
  userId = mina?._id ?? ''
})
afterAll(async () => {
  await api.close()
})

/** A replica in which something happens to the person just before they are read the nth time. */
async function openReplica(
  race?: { nth: number; set: UserChange },
  told: Partial<Pick<SessionDeps, 'mailer'> & Pick<People, 'notifier'>> = {},
): Promise<Sessions> {
  const { people, database } = api.core
  let reads = 0
  const find: typeof people.directory.find = async (id) => {
    reads += 1
    if (reads === race?.nth) await change(race.set)
    return await people.directory.find(id)
  }
  return await openSessions({
    people: { ...people, ...told, directory: { ...people.directory, find } },
    database,
    passwords: createPasswords(randomBytes),
    mailer: told.mailer,
    publicUrl,
    clock: systemClock,
    randomBytes,
    attempts: uncountedAttempts,
  })
}

async function change(set: UserChange): Promise<void> {
  const target = { kind: 'User', id: userId, department: null }
  const facts = { action: 'user.disabled', target } as const
  await api.core.people.directory.change(userId, { set, by: 'test', facts })
}

const liveIds = async (): Promise<readonly string[]> => {
  const store = createSessionStore(api.core.database)
  const rows = await store.listLive(userId, { nowMs: Date.now(), limit: 200 })
  return rows.map(({ _id }) => _id)
}

describe('a session that begins', () => {
  test('while its person is being disabled does not live', async () => {
    const { keeper } = await openReplica({ nth: 2, set: { state: 'Disabled' } })
    const start = keeper.start({ userId, method: 'Invite', origin })
    await expect(start).rejects.toMatchObject({ code: 'auth.invalid_credentials' })
    await change({ state: 'Active' })
    expect(await liveIds()).toEqual([])
  })

  test('with a password that is being changed does not live', async () => {
    const before = await api.core.people.directory.find(userId)
    const { service } = await openReplica({ nth: 2, set: { passwordHash: null } })
    const request = { email: api.emailOf('mina'), password, transport: 'Bearer' } as const
    await expect(service.signIn(request, origin)).rejects.toMatchObject({
      code: 'auth.invalid_credentials',
    })
    expect(await liveIds()).toEqual([])
    await change({ passwordHash: before?.passwordHash ?? null })
    expect(await service.signIn(request, origin)).toMatchObject({ user: { id: userId } })
  })

  test('of nobody is refused', async () => {
    const { keeper } = await openReplica()
    const start = keeper.start({ userId: 'u-nobody', method: 'Sso', origin: undefined })
    await expect(start).rejects.toMatchObject({ code: 'auth.invalid_credentials' })
  })
})

describe('all sessions of a person', () => {
  test('end at once but the one to keep, for this replica and for the others', async () => {
    const here = await openReplica()
    const there = await openReplica()
    const begun = await Promise.all(
      Array.from({ length: 5 }, async () =>
        here.keeper.start({ userId, method: 'Password', origin }),
      ),
    )
    const [kept, ...others] = begun.map(({ id }) => id)
    for (const id of others) expect(await there.keeper.isLive(id)).toBe(true)
    const wish = { userId, reason: 'PasswordChanged', by: 'test', keepSessionId: kept } as const
    await here.keeper.endAll(wish)
    await here.keeper.endAll(wish)
    for (const id of others) {
      expect(await here.keeper.isLive(id)).toBe(false)
      expect(await there.keeper.isLive(id)).toBe(false)
    }
    expect(await there.keeper.isLive(kept ?? '')).toBe(true)
    expect(await liveIds()).toEqual([kept])
    const log = await api.core.people.auditLog.page({ action: 'session.ended', limit: 50 })
    const ended = log.filter(({ after }) => others.some((id) => id === after?.['sessionId']))
    expect(ended.map(({ after }) => after?.['reason'])).toEqual(others.map(() => wish.reason))
  })

  test('end also when they have just expired, as a slower clock still refreshes them', async () => {
    const { keeper } = await openReplica()
    const { id } = await keeper.start({ userId, method: 'Password', origin })
    const sessions = api.core.database.native.collection<SessionRow>('sessions')
    await sessions.updateOne({ _id: id }, { $set: { expiresMs: Date.now() - 1000 } })
    await keeper.endAll({ userId, reason: 'Disabled', by: 'test' })
    expect(await sessions.findOne({ _id: id })).toMatchObject({ endReason: 'Disabled' })
  })

  test('end while one of them is refreshed, and none slips through', async () => {
    const { keeper, service } = await openReplica()
    const { refreshToken } = await keeper.start({ userId, method: 'Password', origin })
    const wish = { userId, reason: 'Disabled', by: 'test' } as const
    const refreshed = service.refresh(refreshToken ?? '', origin)
    await Promise.allSettled([refreshed, keeper.endAll(wish)])
    expect(await liveIds()).toEqual([])
  })
})

test('a person hears of a token that was used twice, also when that failed at first', async () => {
  const { people } = api.core
  const sent: string[] = []
  let fails = true
  const notify: Notifier['notify'] = async (notice) => {
    if (fails) throw new AppError('platform.unavailable', 'the database is away')
    await people.notifier.notify(notice)
  }
  const mailer = { send: async ({ id }: Mail) => void sent.push(id) }
  const { keeper, service } = await openReplica(undefined, { mailer, notifier: { notify } })
  const { id, refreshToken } = await keeper.start({ userId, method: 'Password', origin })
  const refresh = async () => await service.refresh(refreshToken ?? '', origin)
  await refresh()
  await expect(refresh()).rejects.toMatchObject({ code: 'platform.unavailable' })
  fails = false
  await expect(refresh()).rejects.toMatchObject({ code: 'auth.refresh_reused' })
  expect(await people.notifications.find(`${id}.${userId}`)).toMatchObject({ kind: 'SessionReuse' })
  expect(sent).toEqual([`session-reuse:${id}`])
})
