import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionRow } from '../../../src/api/features/sessions/store.ts'
import { eventually } from '../../support/eventually.ts'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const signIn = async (person: Person) => {
  const body = { email: api.emailOf(person), password: canaryPassword }
  const answer = await api.call({ method: 'POST', url: '/v1/sessions', body })
  expect(answer.statusCode).toBe(201)
  return answer.json()
}
const refresh = async (refreshToken: string) =>
  await api.call({ method: 'POST', url: '/v1/sessions/refresh', body: { refreshToken } })
const send = async (token: string, url: string, method: 'GET' | 'DELETE' = 'GET') =>
  await api.call({ method, url, headers: { authorization: `Bearer ${token}` } })
const statusOf = async (token: string) => (await send(token, '/v1/users/me')).statusCode

const sessions = () => api.core.database.native.collection<SessionRow>('sessions')
const auditOf = async (action: 'session.started' | 'session.ended' | 'session.reuse_detected') =>
  await api.core.people.auditLog.page({ action, limit: 50 })

describe('a refresh', () => {
  test('gives a new pair, and the old access token goes on', async () => {
    const first = await signIn('mina')
    const answer = await refresh(first.refreshToken)
    expect(answer.statusCode).toBe(201)
    const second = answer.json()
    expect(second).toMatchObject({ id: first.id, user: first.user, expiresIn: 3600 })
    expect(second.refreshToken).not.toBe(first.refreshToken)
    expect([await statusOf(first.accessToken), await statusOf(second.accessToken)]).toEqual([
      200, 200,
    ])
    expect((await refresh(second.refreshToken)).statusCode).toBe(201)
  })

  test('with a token that was used ends the session, and its person hears of it', async () => {
    const first = await signIn('mina')
    const second = (await refresh(first.refreshToken)).json()
    expect(await statusOf(second.accessToken)).toBe(200)
    const replay = await refresh(first.refreshToken)
    expect(replay.json()).toMatchObject({ status: 401, code: 'auth.refresh_reused' })
    expect(await statusOf(first.accessToken)).toBe(401)
    expect(await statusOf(second.accessToken)).toBe(401)
    expect((await refresh(second.refreshToken)).json()).toMatchObject({
      code: 'auth.refresh_reused',
    })
    const [entry] = await auditOf('session.reuse_detected')
    expect(entry).toMatchObject({
      target: { kind: 'User', id: first.user.id, department: api.surroundings.quality },
      after: { sessionId: first.id, reason: 'Reused' },
      origin: { ip: '127.0.0.1' },
    })
    expect((await api.mailTo(api.emailOf('mina'))).subject).not.toBe('')
    const notices = await api.call({ url: '/v1/notifications', as: 'mina' })
    expect(notices.json().items).toMatchObject([{ kind: 'SessionReuse' }])
  })

  test.each([
    ['of an unknown session', `atr_01jd6z0c5m8k2v3n4p5q6r7s8t_${'A'.repeat(43)}_${'0'.repeat(32)}`],
    ['that is empty', ''],
    ['that is no token', 'atr_'],
    ['with an operator', 'atr_{"$gt":""}_A'],
    ['that is too long', `atr_${'a'.repeat(600)}`],
  ])('with a token %s has no effect', async (_name, token) => {
    const answer = await refresh(token)
    expect([400, 401]).toContain(answer.statusCode)
    expect(['request.invalid', 'auth.invalid_token']).toContain(answer.json().code)
  })

  test('with a token that somebody made up for a session does not end it', async () => {
    const { id, accessToken, refreshToken } = await signIn('mina')
    const [proof = ''] = refreshToken.split('_').slice(-1)
    for (const forged of [
      `atr_${id}_${'A'.repeat(43)}_${proof}`,
      `${refreshToken.slice(0, -1)}g`,
    ]) {
      expect((await refresh(forged)).json()).toMatchObject({ code: 'auth.invalid_token' })
    }
    expect(await statusOf(accessToken)).toBe(200)
    expect((await refresh(refreshToken)).statusCode).toBe(201)
  })

  test('with an access token has no effect', async () => {
    const { accessToken } = await signIn('mina')
    const answer = await refresh(accessToken)
    expect([400, 401]).toContain(answer.statusCode)
    expect(await statusOf(accessToken)).toBe(200)
  })

  test('without any token asks for one', async () => {
    const own = { 'sec-fetch-site': 'same-origin' }
    const url = '/v1/sessions/refresh'
    const answer = await api.call({ method: 'POST', url, body: {}, headers: own })
    expect(answer.json()).toMatchObject({ status: 401, code: 'auth.required' })
  })

  test('eight at once: never are two pairs alive', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { id, refreshToken } = await signIn('noor')
      const answers = await Promise.all(
        Array.from({ length: 8 }, async () => await refresh(refreshToken)),
      )
      const won = answers.filter(({ statusCode }) => statusCode === 201)
      const lost = answers.filter(({ statusCode }) => statusCode === 401)
      expect([won.length <= 1, won.length + lost.length]).toEqual([true, 8])
      const row = await sessions().findOne({ _id: id })
      expect(row?.endReason).toBe('Reused')
      for (const winner of won) {
        const { accessToken, refreshToken: next } = winner.json()
        expect(await statusOf(accessToken)).toBe(401)
        expect((await refresh(next)).statusCode).toBe(401)
      }
    }
  })

  test('moves the end by a week, but not past thirty days from the beginning', async () => {
    const { id, refreshToken } = await signIn('mina')
    const lastEndMs = Date.now() + hourMs
    const row = await sessions().findOne({ _id: id })
    expect((row?.lastEndMs ?? 0) - (row?.creationTimeMs ?? 0)).toBe(30 * dayMs)
    await sessions().updateOne({ _id: id }, { $set: { lastEndMs } })
    const next = (await refresh(refreshToken)).json()
    expect(Date.parse(next.refreshExpiresTime)).toBe(lastEndMs)
    expect(next.expiresIn).toBeLessThanOrEqual(3600)
  })

  test('after the end of a session is refused and is no reuse', async () => {
    const { id, refreshToken } = await signIn('mina')
    await sessions().updateOne({ _id: id }, { $set: { expiresMs: Date.now() - 1 } })
    expect((await refresh(refreshToken)).json()).toMatchObject({ code: 'auth.invalid_token' })
    expect(await sessions().findOne({ _id: id })).toMatchObject({ endedMs: null })
  })
})

describe('one’s own sessions', () => {
  test('are listed with where they began, and without secrets', async () => {
    const here = await signIn('poor')
    const there = await signIn('poor')
    const answer = await send(here.accessToken, '/v1/sessions')
    expect(answer.json()).toEqual({
      items: [
        {
          id: here.id,
          method: 'Password',
          creationTime: expect.any(String),
          lastUseTime: expect.any(String),
          expiresTime: here.refreshExpiresTime,
          ip: '127.0.0.1',
          userAgent: 'lightMyRequest',
          current: true,
        },
        expect.objectContaining({ id: there.id, current: false }),
      ],
      next: null,
    })
    expect(answer.body).not.toMatch(/hash|atr_/i)
  })

  test('end one by one, and only one’s own', async () => {
    const here = await signIn('poor')
    const there = await signIn('poor')
    const other = await signIn('mina')
    const foreign = await send(here.accessToken, `/v1/sessions/${other.id}`, 'DELETE')
    expect(foreign.json()).toMatchObject({ status: 404, code: 'session.not_found' })
    const url = `/v1/sessions/${there.id}`
    expect((await send(here.accessToken, url, 'DELETE')).statusCode).toBe(204)
    expect((await send(here.accessToken, url, 'DELETE')).statusCode).toBe(404)
    expect(await statusOf(there.accessToken)).toBe(401)
    expect((await refresh(there.refreshToken)).json()).toMatchObject({ code: 'auth.invalid_token' })
    expect([await statusOf(here.accessToken), await statusOf(other.accessToken)]).toEqual([
      200, 200,
    ])
    const [entry] = await auditOf('session.ended')
    expect(entry).toMatchObject({
      actor: { id: here.user.id },
      after: { sessionId: there.id, reason: 'Revoked' },
      origin: { userAgent: 'lightMyRequest' },
    })
  })

  test('end all but this one, also twice', async () => {
    const [here, ...others] = [await signIn('poor'), await signIn('poor'), await signIn('poor')]
    for (let time = 0; time < 2; time += 1) {
      expect((await send(here.accessToken, '/v1/sessions', 'DELETE')).statusCode).toBe(204)
    }
    for (const { accessToken } of others) expect(await statusOf(accessToken)).toBe(401)
    const { items } = (await send(here.accessToken, '/v1/sessions')).json()
    expect(items).toMatchObject([{ id: here.id, current: true }])
  })

  test('sign out: at once, with the refresh token, also twice at the same time', async () => {
    const { id, accessToken, refreshToken } = await signIn('poor')
    const url = '/v1/sessions/current'
    const answers = await Promise.all([
      send(accessToken, url, 'DELETE'),
      send(accessToken, url, 'DELETE'),
    ])
    const statuses = answers.map(({ statusCode }) => statusCode)
    expect(statuses).toContain(204)
    expect(statuses.filter((status) => ![204, 401].includes(status))).toEqual([])
    expect(await statusOf(accessToken)).toBe(401)
    expect((await refresh(refreshToken)).statusCode).toBe(401)
    const ended = (await auditOf('session.ended')).filter(({ after }) => after?.sessionId === id)
    expect(ended).toMatchObject([{ after: { reason: 'SignedOut' } }])
  })

  test('are at most a hundred: one more ends the oldest', async () => {
    const first = await signIn('lead')
    const row = await sessions().findOne({ _id: first.id })
    if (row === null) throw new Error('the session is not there')
    const copies = Array.from({ length: 99 }, (_, index) => ({
      ...row,
      _id: `${first.id.slice(0, 23)}${String(index).padStart(3, '0')}`.replace(/^./, 'z'),
      auditOutbox: [],
    }))
    await sessions().insertMany(copies)
    expect(await statusOf(first.accessToken)).toBe(200)
    const last = await signIn('lead')
    await eventually(async () => expect(await statusOf(first.accessToken)).toBe(401))
    expect(await statusOf(last.accessToken)).toBe(200)
  })

  test('are taken away a week after their end', async () => {
    const task = api.api.leaderTasks.find(({ name }) => name === 'remove-sessions')
    const [old, late, kept] = [await signIn('gast'), await signIn('gast'), await signIn('gast')]
    const expire = async (id: string, change: Partial<SessionRow>): Promise<void> => {
      await sessions().updateOne({ _id: id }, { $set: change })
    }
    const [entry] = await auditOf('session.started')
    if (entry === undefined) throw new Error('nothing was noted')
    await expire(old.id, { expiresMs: Date.now() - 8 * dayMs })
    await expire(late.id, { expiresMs: Date.now() - 6 * dayMs })
    await expire(kept.id, { expiresMs: Date.now() - 8 * dayMs, auditOutbox: [entry] })
    await task?.run()
    const left = await sessions()
      .find({ _id: { $in: [old.id, late.id, kept.id] } })
      .toArray()
    expect(new Set(left.map(({ _id }) => _id))).toEqual(new Set([late.id, kept.id]))
  })
})

test('no refresh token is in the database, the log or the audit log', async () => {
  const { refreshToken } = await signIn('mina')
  const secret = refreshToken.slice(-43)
  const rows = await sessions().find().toArray()
  const log = await api.core.people.auditLog.page({ limit: 500 })
  const text = JSON.stringify([rows, log, api.logged])
  expect(text).not.toContain(secret)
})
