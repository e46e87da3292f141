import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { messageBytesMax } from '../../../src/shared/wire/realtime.ts'
import { userView } from '../../../src/shared/wire/sessions.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { type Headers, knock, openSocketClient } from '../../support/socket-client.ts'
import { canaryPassword } from '../../support/canary.ts'
import { publicUrl, startApi, type TestApi } from './harness.ts'
import { openTcpProxy, type TcpProxy } from './http-client.ts'
import { createRealtimeScene, jobsTold, progress, type RealtimeScene } from './realtime-scene.ts'
import { succeeded } from './surroundings.ts'

const perUserMax = 4
const consoleOrigin = 'https://console.example'
let redis: TcpProxy
let api: TestApi
let address: string
let scene: RealtimeScene
beforeAll(async () => {
  redis = await openTcpProxy(testEnvironment().redisUrl)
  api = await startApi({
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    corsOrigins: [consoleOrigin],
    heartbeatMs: 1500,
    realtimeLimits: {
      perUserMax,
      stuckMsMax: 500,
      messagesMax: 10,
      messageEveryMs: 10_000,
    },
  })
  address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
  scene = createRealtimeScene(api, address)
})
afterAll(async () => {
  await api.close()
  await redis.close()
})

describe('a ticket', () => {
  test('opens one socket, which begins with hello, and no second', async () => {
    const url = await scene.urlOf('mina')
    const client = await openSocketClient(url)
    await eventually(() => expect(client.messages[0]?.event).toBe('hello'))
    expect(client.of('hello')[0]?.heartbeatSeconds).toBe(1.5)
    expect(await knock(url)).toBe(401)
    await client.close()
    expect(await knock(url)).toBe(401)
  })

  test('lets one of many simultaneous upgrades win', async () => {
    const url = await scene.urlOf('noor')
    const statuses = await Promise.all(Array.from({ length: perUserMax }, () => knock(url)))
    expect(statuses.toSorted((left, right) => left - right)).toEqual([101, 401, 401, 401])
  })

  test('that is missing, forged, expired or for another use opens nothing', async () => {
    const ws = `${address.replace('http', 'ws')}/v1/ws`
    const good = new URL(await scene.urlOf('mina')).searchParams.get('ticket') ?? ''
    const { seal, newId } = api.core.people
    const claims = { id: newId(), userId: 'u-x', sessionId: newId(), expiresMs: Date.now() - 1 }
    const changed = `${good.slice(0, 40)}${good[40] === 'A' ? 'B' : 'A'}${good.slice(41)}`
    const bad = [
      changed,
      good.slice(1),
      `${good}AAAA`,
      'AAAA',
      await api.tokenOf('mina').then((token) => token.split('.')[1]),
      seal.close('realtime-ticket', JSON.stringify(claims)),
      seal.close('other', JSON.stringify({ ...claims, expiresMs: Date.now() + 9999 })),
      seal.close('realtime-ticket', JSON.stringify({ ...claims, expiresMs: Date.now() + 9999 })),
    ]
    for (const ticket of bad) expect(await knock(`${ws}?ticket=${ticket}`)).toBe(401)
    expect(await knock(ws)).toBe(401)
    for (const cookie of ['__Host-session', '__Host-access', 'access']) {
      const headers = { cookie: `${cookie}=${await api.tokenOf('mina')}` }
      expect(await knock(ws, headers)).toBe(401)
    }
    expect(await knock(ws, { authorization: `Bearer ${await api.tokenOf('mina')}` })).toBe(401)
    expect(await knock(`${ws}?ticket=%00`)).toBe(400)
    expect(await knock(`${ws}?ticket=${good}&more=1`)).toBe(400)
    expect(await knock(`${ws}?ticket=${good}&cursor=AAAA`)).toBe(400)
  })

  test('is for members, and for API keys with that scope', async () => {
    await expect(scene.urlOf('gast')).rejects.toThrow('403')
    await expect(scene.ticketFor('nonsense')).rejects.toThrow('401')
    await expect(scene.ticketFor((await scene.newKey(['jobs.read'])).key)).rejects.toThrow('403')
  })

  test('is in no log line', async () => {
    const ticket = new URL(await scene.urlOf('mina')).searchParams.get('ticket') ?? 'none'
    const ws = `${address.replace('http', 'ws')}/v1/ws`
    expect(await knock(`${ws}?ticket=${ticket}`)).toBe(101)
    expect(await knock(`${ws}?ticket=${ticket}`)).toBe(401)
    expect(api.logged.join('\n')).not.toContain(ticket.slice(0, 30))
  })
})

describe('the address of sockets', () => {
  test.each([
    [undefined, 101],
    [publicUrl, 101],
    [consoleOrigin, 101],
    [`${publicUrl}:81`, 403],
    [publicUrl.replace('http', 'https'), 403],
    ['http://evil.example', 403],
    [`${publicUrl}.evil.example`, 403],
    ['null', 403],
    ['', 403],
  ])('answers the origin %s with %i', async (origin, status) => {
    const url = await scene.urlOf('mina')
    const headers: Headers = origin === undefined ? {} : { origin }
    expect(await knock(url, headers)).toBe(status)
    // Another page must not use up somebody's ticket.
    expect(await knock(url)).toBe(status === 101 ? 401 : 101)
  })

  test('is no page, and other addresses make no sockets', async () => {
    const url = await scene.urlOf('mina')
    expect((await fetch(url.replace('ws', 'http'))).status).toBe(400)
    expect((await fetch(url.replace('ws', 'http'), { method: 'POST' })).status).toBe(405)
    expect(await knock(url)).toBe(101)
    expect(await knock(`${address.replace('http', 'ws')}/openapi.json`)).toBe(200)
    expect(await knock(`${address.replace('http', 'ws')}/v1/jobs`)).toBe(401)
  })

  test('is bounded per person, and a closed socket gives its place back', async () => {
    await eventually(async () => expect(await scene.socketsCounted()).toBe('0'))
    const clients = await Promise.all(Array.from({ length: perUserMax }, () => scene.open('noor')))
    expect(await scene.socketsCounted()).toBe(String(perUserMax))
    expect(await knock(await scene.urlOf('noor'))).toBe(429)
    const other = await scene.open('sam')
    await clients[0]?.close()
    await eventually(async () => expect(await knock(await scene.urlOf('noor'))).toBe(101))
    await Promise.all([...clients, other].map((client) => client.close()))
    await eventually(async () => expect(await scene.socketsCounted()).toBe('0'))
  })
})

describe('what a client says', () => {
  test('may have 64 KiB and not one byte more', async () => {
    const client = await scene.open('mina')
    client.send(watchNothing(messageBytesMax))
    client.send({ type: 'watch', jobs: ['01jd6z0c5m8k2v3n4p5q6r7s8t'] })
    await eventually(() => expect(client.of('error')).toHaveLength(1))
    client.send(watchNothing(messageBytesMax + 1))
    expect((await client.ended).code).toBe(1009)
  })

  test.each([
    ['{', 1007, 'not_json'],
    ['', 1007, 'not_json'],
    [Buffer.from('{}'), 1003, 'not_text'],
    [{}, 1008, 'not_understood'],
    [{ type: 'watch' }, 1008, 'not_understood'],
    [{ type: 'watch', jobs: [], more: 1 }, 1008, 'not_understood'],
    [{ type: 'watch', jobs: [{ $gt: '' }] }, 1008, 'not_understood'],
    [{ type: 'watch', jobs: Array<string>(17).fill('a') }, 1008, 'not_understood'],
  ])('ends the socket when it is %j', async (message, code, reason) => {
    const client = await scene.open('mina')
    client.send(message)
    expect(await client.ended).toEqual({ code, reason })
  })

  test('is bounded in number', async () => {
    const client = await scene.open('mina')
    for (let count = 0; count < 11; count += 1) client.send({ type: 'watch', jobs: [] })
    expect(await client.ended).toEqual({ code: 1008, reason: 'too_many_messages' })
  })
})

describe('jobs', () => {
  test('are told to their owner and to nobody else', async () => {
    const [mina, second, noor, lead] = await Promise.all([
      scene.open('mina'),
      scene.open('mina'),
      scene.open('noor'),
      scene.open('lead'),
    ])
    const jobId = await api.submit('mina')
    await api.call({ method: 'POST', url: `/v1/jobs/${jobId}/cancel`, as: 'mina' })
    const noorsJob = await api.submit('noor')
    await scene.publish('mina', jobId, progress(3, 'AAAA'))
    for (const client of [mina, second]) {
      await eventually(() => expect(jobsTold(client)).toContain(jobId))
      await eventually(() => expect(client.of('progress')).toHaveLength(1))
      expect(client.of('progress')[0]).toMatchObject({ jobId, data: { step: 3 } })
      expect(client.of('progress')[0]?.data).not.toHaveProperty('preview')
    }
    await eventually(() => expect(jobsTold(noor)).toContain(noorsJob))
    for (const client of [mina, second]) expect(new Set(jobsTold(client))).toEqual(new Set([jobId]))
    expect(new Set(jobsTold(noor))).toEqual(new Set([noorsJob]))
    expect(jobsTold(lead)).toEqual([])
    const told = mina.of('job').at(-1)
    expect(told?.id).toBe(told?.data.revision)
    expect(told?.data.owner.user).toBe((await scene.viewOf('mina', jobId)).owner.user)
    await Promise.all([mina, second, noor, lead].map((client) => client.close()))
  })

  test('come with pictures when they are watched, for those who may see them', async () => {
    const jobId = await api.submit('mina')
    const [mina, lead, sam] = await Promise.all([
      scene.open('mina'),
      scene.open('lead'),
      scene.open('sam'),
    ])
    for (const client of [mina, lead, sam]) client.send({ type: 'watch', jobs: [jobId] })
    await eventually(() => expect(sam.of('error')).toHaveLength(1))
    expect(sam.of('error')[0]?.data).toMatchObject({ code: 'job.not_found', jobId })
    await eventually(() => expect(jobsTold(lead)).toContain(jobId))
    await eventually(() => expect(jobsTold(mina)).toContain(jobId))
    await scene.publish('mina', jobId, progress(5, 'AAAA'))
    for (const client of [mina, lead]) {
      await eventually(() => expect(client.of('progress')).toHaveLength(1))
      expect(client.of('progress')[0]?.data.preview).toBe('AAAA')
    }
    lead.send({ type: 'watch', jobs: [] })
    mina.send({ type: 'watch', jobs: [] })
    lead.send({ type: 'watch', jobs: ['01jd6z0c5m8k2v3n4p5q6r7s8t'] })
    await eventually(() => expect(lead.of('error')).toHaveLength(1))
    await scene.publish('mina', jobId, progress(6, 'BBBB'))
    await eventually(() => expect(mina.of('progress')).toHaveLength(2))
    expect(mina.of('progress')[1]?.data).not.toHaveProperty('preview')
    expect(lead.of('progress')).toHaveLength(1)
    expect(
      sam.messages.filter(({ event }) => event !== 'hello' && event !== 'cursor'),
    ).toHaveLength(1)
    await Promise.all([mina, lead, sam].map((client) => client.close()))
  })

  test('and progress that are older than what was told are not told', async () => {
    const jobId = await api.submit('mina')
    const client = await scene.open('mina')
    await scene.publish('mina', jobId, progress(9))
    await eventually(() => expect(client.of('progress')).toHaveLength(1))
    await scene.publish('mina', jobId, progress(8))
    await scene.publish('mina', jobId, progress(10))
    await eventually(() => expect(client.of('progress')).toHaveLength(2))
    expect(client.of('progress').map(({ data }) => data.step)).toEqual([9, 10])
    await client.close()
  })

  test('are not told to an API key without that scope', async () => {
    const { key } = await scene.newKey(['realtime.connect'])
    const client = await openSocketClient(await scene.ticketFor(key))
    const own = await scene.open('mina')
    const jobId = await api.submit('mina')
    await api.core.people.notifier.notify({
      id: api.core.people.newId(),
      userId: (await scene.viewOf('mina', jobId)).owner.user ?? '',
      fact: { kind: 'SessionReuse', values: {} },
    })
    await eventually(() => expect(jobsTold(own)).toContain(jobId))
    // Others may come of tests before this one, and each of them twice.
    const told = () => own.of('notification').filter(({ data }) => data.kind === 'SessionReuse')
    await eventually(() => expect(new Set(told().map(({ id }) => id)).size).toBe(1))
    expect(client.messages.every(({ event }) => ['hello', 'cursor'].includes(event))).toBe(true)
    await Promise.all([client, own].map((one) => one.close()))
  })
})

describe('a missed event', () => {
  test('is told to who comes back with a cursor, and soon to open sockets', async () => {
    const jobId = await api.submit('mina')
    const [stays, leaves] = await Promise.all([scene.open('mina'), scene.open('mina')])
    await eventually(() => expect(leaves.of('cursor').length).toBeGreaterThan(0))
    const cursor = leaves.cursor()
    await leaves.close()
    redis.cut()
    await eventually(() => expect(api.core.pubSub.isConnected()).toBe(false))
    const status = { conditions: [succeeded('True', 'Completed')] }
    await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
    await eventually(() => {
      const told = stays.of('job').findLast(({ data }) => data.id === jobId)
      expect(told?.data.state).toBe('Completed')
    })
    const back = await scene.open('mina', { cursor })
    await eventually(() => {
      const told = back.of('job').findLast(({ data }) => data.id === jobId)
      expect(told?.data.state).toBe('Completed')
    })
    await eventually(() => expect(back.of('cursor').length).toBeGreaterThan(0))
    expect(back.of('hello')[0]?.cursor).toBe(cursor)
    redis.restore()
    await eventually(() => expect(api.core.pubSub.isConnected()).toBe(true))
    await Promise.all([stays, back].map((client) => client.close()))
  })

  test('long ago makes the client read its lists again', async () => {
    const cursor = Buffer.from('since:1000').toString('base64url')
    const jobId = await api.submit('noor')
    const client = await scene.open('noor', { cursor })
    await eventually(() => expect(client.of('reset')).toHaveLength(1))
    await eventually(() => expect(jobsTold(client)).toContain(jobId))
    await eventually(() => expect(client.cursor()).not.toBe(cursor))
    await client.close()
  })
})

describe('a socket ends', () => {
  const sessionShape = z.looseObject({ accessToken: z.string() })

  test('when its session does, and others of the person stay', async () => {
    const payload = { email: api.emailOf('mina'), password: canaryPassword }
    const signedIn = await api.api.app.inject({ method: 'POST', url: '/v1/sessions', payload })
    const { accessToken } = sessionShape.parse(signedIn.json())
    const client = await openSocketClient(await scene.ticketFor(accessToken))
    const unused = await scene.ticketFor(accessToken)
    const other = await scene.open('mina')
    const headers = { authorization: `Bearer ${accessToken}` }
    await api.api.app.inject({ method: 'DELETE', url: '/v1/sessions/current', headers })
    expect(await client.ended).toEqual({ code: 4401, reason: 'session_ended' })
    expect(await knock(unused)).toBe(401)
    expect(other.webSocket.readyState).toBe(other.webSocket.OPEN)
    await other.close()
  })

  test('when its API key is revoked', async () => {
    const { id, key } = await scene.newKey(['realtime.connect', 'jobs.read'])
    const client = await openSocketClient(await scene.ticketFor(key))
    await api.call({ method: 'DELETE', url: `/v1/api-keys/${id}`, as: 'mina' })
    expect(await client.ended).toEqual({ code: 4401, reason: 'session_ended' })
  })

  test('when the person’s role changes or they are disabled', async () => {
    const { id } = userView.parse((await api.call({ url: '/v1/users/me', as: 'poor' })).json())
    const client = await scene.open('poor')
    const body = { role: 'department_admin' }
    const url = `/v1/users/${id}`
    const changed = await api.call({ method: 'PUT', url: `${url}/role`, as: 'root', body })
    expect(changed.statusCode).toBe(200)
    expect(await client.ended).toEqual({ code: 4401, reason: 'access_changed' })
    const again = await scene.open('poor')
    await api.call({ method: 'POST', url: `${url}/disable`, as: 'root' })
    expect(await again.ended).toEqual({ code: 4401, reason: 'session_ended' })
  })

  test('when its reader is slow, while others are told on', async () => {
    // Which of the two is found first depends on how fast buffers fill; see client-socket.test.ts.
    const cutOff = async (): Promise<number> =>
      (await scene.endsCounted('slow_reader')) + (await scene.endsCounted('dead_peer'))
    const before = await cutOff()
    const [slow, fast] = await Promise.all([scene.open('mina'), scene.open('mina')])
    const jobs = await Promise.all(Array.from({ length: 8 }, () => api.submit('mina')))
    for (const client of [slow, fast]) client.send({ type: 'watch', jobs })
    await eventually(() => expect(new Set(jobsTold(slow)).size).toBe(8))
    slow.webSocket.pause()
    let sequence = 0
    const picture = 'A'.repeat(65_536)
    const { owner } = await scene.viewOf('mina', jobs[0] ?? '')
    const own = { department: owner.department, user: owner.user ?? null }
    await eventually(async () => {
      sequence += 1
      for (const jobId of jobs) {
        const news = progress(sequence, picture)
        api.core.events.publish({ jobId, revision: 0, progress: news }, own)
      }
      expect(await cutOff()).toBe(before + 1)
    })
    const told = fast.of('progress').length
    await scene.publish('mina', jobs[0] ?? '', progress(sequence + 1, picture))
    await eventually(() => expect(fast.of('progress').length).toBeGreaterThan(told))
    slow.webSocket.terminate()
    await fast.close()
  })

  test('when its peer does not answer pings', async () => {
    const before = await scene.endsCounted('dead_peer')
    const url = await scene.urlOf('mina')
    const client = await openSocketClient(url)
    // Nothing is read any more, so no ping is answered; and nothing is sent that could pile up.
    client.webSocket.pause()
    await eventually(async () => expect(await scene.endsCounted('dead_peer')).toBe(before + 1))
    client.webSocket.terminate()
  })

  /** Must be last: the server does not come back. */
  test('when the server stops', async () => {
    const [client, silent] = await Promise.all([scene.open('mina'), scene.open('lead')])
    silent.webSocket.pause()
    const closing = api.api.app.close()
    expect(await client.ended).toEqual({ code: 1001, reason: 'server_stop' })
    await closing
    silent.webSocket.terminate()
  })
})

/** A message that is fine, of exactly so many bytes. */
function watchNothing(bytes: number): string {
  const text = JSON.stringify({ type: 'watch', jobs: [] })
  return text + ' '.repeat(bytes - text.length)
}
