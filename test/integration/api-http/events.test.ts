import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SessionRow } from '../../../src/api/features/sessions/store.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import type { Progress } from '../../../src/shared/wire/internal.ts'
import { jobView } from '../../../src/shared/wire/jobs.ts'
import { eventually } from '../../support/eventually.ts'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { type EventReader, openEvents } from './http-client.ts'
import { succeeded } from './surroundings.ts'

const perUserMax = 3
let api: TestApi
let address: string
beforeAll(async () => {
  api = await startApi({
    streamLimits: { perUserMax, totalMax: 100, slowReaderMs: 500 },
    heartbeatMs: 700,
  })
  address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  await api.close()
})

const watch = async (jobId: string, person: Person = 'mina'): Promise<EventReader> =>
  await openEvents(`${address}/v1/jobs/${jobId}/events`, await api.tokenOf(person))

function progress(sequence: number): Progress {
  const counts = { step: sequence, steps: 20, imagesDone: 0, images: 1, stepsDone: sequence }
  return { sequence, stage: 'Denoising', ...counts }
}

const finish = async (jobId: string): Promise<void> => {
  const status = { conditions: [succeeded('True', 'Completed')] }
  await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
}

const openCount = async (): Promise<string | undefined> =>
  /atelier_api_event_streams (\d+)/.exec(await api.registry.metrics())?.[1]

describe('watching a job', () => {
  test('begins with a snapshot, tells progress, and ends after the terminal snapshot', async () => {
    const jobId = await api.submit('mina')
    const stream = await watch(jobId)
    expect(stream.status).toBe(200)
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(stream.headers.get('cache-control')).toBe('no-store')
    const first = await stream.next()
    expect(first?.name).toBe('job')
    const view = jobView.parse(first?.data)
    expect(first?.id).toBe(String(view.revision))
    const owner = { department: view.owner.department, user: view.owner.user ?? null }
    const shown = { ...progress(4), preview: 'AAAA' }
    const event = { jobId, revision: view.revision, progress: shown }
    const told = setInterval(() => api.core.events.publish(event, owner), 50)
    let next = await stream.next()
    while (next?.name === 'job') next = await stream.next()
    clearInterval(told)
    expect(next).toMatchObject({ name: 'progress', data: { step: 4, preview: 'AAAA' } })
    await finish(jobId)
    const states: string[] = []
    for (let last = await stream.next(); last !== null; last = await stream.next()) {
      if (last.name === 'job') states.push(jobView.parse(last.data).state)
    }
    expect(states.at(-1)).toBe('Completed')
  })

  test('again after the end gives the terminal snapshot and ends', async () => {
    const jobId = await api.submit('mina')
    await finish(jobId)
    await eventually(async () => {
      const stream = await watch(jobId)
      const first = await stream.next()
      const state = jobView.parse(first?.data).state
      if (state !== 'Completed') stream.cancel()
      expect(state).toBe('Completed')
      expect(await stream.next()).toBeNull()
    })
  })

  test('after a lost connection begins with what happened meanwhile', async () => {
    const jobId = await api.submit('mina')
    const before = await watch(jobId)
    const first = await before.next()
    before.cancel()
    const running = { conditions: [succeeded('Unknown', 'Running')] }
    await eventually(async () => await api.surroundings.setJobStatus(jobId, running))
    await eventually(async () => {
      const after = await watch(jobId)
      const snapshot = await after.next()
      after.cancel()
      expect(Number(snapshot?.id)).toBeGreaterThan(Number(first?.id))
    })
  })

  test('has heartbeats while nothing happens', async () => {
    const jobId = await api.submit('mina')
    const stream = await watch(jobId)
    const reading = (async () => {
      while ((await stream.next()) !== null);
    })().catch(() => undefined)
    await eventually(() => expect(stream.text()).toContain(': heartbeat\n\n'))
    stream.cancel()
    await reading
  })

  test('needs a token and one’s own job', async () => {
    const jobId = await api.submit('mina')
    expect((await fetch(`${address}/v1/jobs/${jobId}/events`)).status).toBe(401)
    expect((await watch(jobId, 'noor')).status).toBe(404)
    expect((await watch(jobId, 'gast')).status).toBe(403)
    const admin = await watch(jobId, 'lead')
    expect(admin.status).toBe(200)
    admin.cancel()
  })
})

describe('open streams', () => {
  test('of one person are bounded, and a closed one gives its place back', async () => {
    await eventually(async () => expect(await openCount()).toBe('0'))
    const jobId = await api.submit('mina')
    const streams = await Promise.all(Array.from({ length: perUserMax }, () => watch(jobId)))
    const refused = await watch(jobId)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('15')
    await refused.next()
    expect(JSON.parse(refused.text())).toMatchObject({ limit: perUserMax, count: perUserMax })
    expect(await openCount()).toBe(String(perUserMax))
    for (const stream of streams) stream.cancel()
    await eventually(async () => expect(await openCount()).toBe('0'))
    const again = await watch(jobId)
    expect(again.status).toBe(200)
    again.cancel()
  })

  test('that are all taken do not refuse a job that waits for its end', async () => {
    await eventually(async () => expect(await openCount()).toBe('0'))
    const jobId = await api.submit('mina')
    const streams = await Promise.all(Array.from({ length: perUserMax }, () => watch(jobId)))
    const headers = { prefer: 'wait=50' }
    const body = api.jobBody()
    const accepted = await api.call({ method: 'POST', url: '/v1/jobs', as: 'mina', body, headers })
    expect(accepted.statusCode).toBe(202)
    expect(jobView.parse(accepted.json()).state).toBe('Pending')
    expect(accepted.headers['preference-applied']).toBeUndefined()
    for (const stream of streams) stream.cancel()
    await eventually(async () => expect(await openCount()).toBe('0'))
  })

  test('are given back by a job whose asker waits no longer', async () => {
    await eventually(async () => expect(await openCount()).toBe('0'))
    const controller = new AbortController()
    const waiting = fetch(`${address}/v1/jobs`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await api.tokenOf('mina')}`,
        'content-type': 'application/json',
        prefer: 'wait=50',
      },
      body: JSON.stringify(api.jobBody()),
      signal: controller.signal,
    }).catch((error: unknown) => error)
    await eventually(async () => expect(await openCount()).toBe('1'))
    controller.abort()
    expect(await waiting).toMatchObject({ name: 'AbortError' })
    await eventually(async () => expect(await openCount()).toBe('0'))
    expect(await api.registry.metrics()).toContain('reason="reader_gone"')
  })

  test('end soon when their session or role does without an event', async () => {
    const jobId = await api.submit('sam')
    const url = `${address}/v1/jobs/${jobId}/events`
    const body = { email: api.emailOf('sam'), password: canaryPassword }
    const session = (await api.call({ method: 'POST', url: '/v1/sessions', body })).json()
    const stream = await openEvents(url, session.accessToken)
    await stream.next()
    const sessions = api.core.database.documents<SessionRow>('sessions')
    await sessions.update({ _id: session.id }, { $set: { endedMs: Date.now() } })
    while ((await stream.next()) !== null);
    expect(await api.registry.metrics()).toContain('reason="session_ended"')
    const other = await watch(jobId, 'sam')
    const users = api.core.database.documents<UserRow>('users')
    const { id: _id } = session.user
    await users.update({ _id }, { $set: { role: 'guest' } })
    while ((await other.next()) !== null);
    await users.update({ _id }, { $set: { role: 'department_member' } })
    api.core.people.changes.publish({ kind: 'User', userId: _id })
  })

  test('end when the token does', async () => {
    const jobId = await api.submit('noor')
    const token = await shortToken(await api.tokenOf('noor'))
    const stream = await openEvents(`${address}/v1/jobs/${jobId}/events`, token)
    expect(stream.status).toBe(200)
    while ((await stream.next()) !== null);
    expect(await api.registry.metrics()).toContain('reason="token_expired"')
  })

  test('end when their session does, and no other ones', async () => {
    const jobId = await api.submit('sam')
    const url = `${address}/v1/jobs/${jobId}/events`
    const body = { email: api.emailOf('sam'), password: canaryPassword }
    const session = await api.call({ method: 'POST', url: '/v1/sessions', body })
    const { id, accessToken } = session.json()
    const ending = await openEvents(url, accessToken)
    const staying = await watch(jobId, 'sam')
    const signOut = { method: 'DELETE', url: `/v1/sessions/${id}`, as: 'sam' } as const
    expect((await api.call(signOut)).statusCode).toBe(204)
    while ((await ending.next()) !== null);
    expect(await openCount()).toBe('1')
    expect(await api.registry.metrics()).toContain('reason="access_changed"')
    staying.cancel()
  })

  /** Must be last: the server does not come back. */
  test('end when the server stops', async () => {
    const jobId = await api.submit('lead')
    const stream = await watch(jobId, 'lead')
    await stream.next()
    const closing = api.api.app.close()
    while ((await stream.next()) !== null);
    await closing
    expect(await api.registry.metrics()).toContain('reason="server_stop"')
  })
})

/** The same token with an end in two seconds. */
async function shortToken(token: string): Promise<string> {
  const exp = Math.floor(Date.now() / 1000) + 2
  return await api.signToken({ ...decodeJwt(token), exp })
}
