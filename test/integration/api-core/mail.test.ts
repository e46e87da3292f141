import { createHash, randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Mail } from '../../../src/api/mail/mailer.ts'
import type { MailRow } from '../../../src/api/mail/store.ts'
import { createApiMetrics } from '../../../src/api/metrics.ts'
import {
  openQueuedWork,
  type QueuedWork,
  type QueuedWorkDeps,
} from '../../../src/api/tasks/queued-work.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { type MailServer, startMailServer } from '../../support/mail-server.ts'
import { openTcpProxy, type TcpProxy } from '../api-http/http-client.ts'
import { startTestClock } from './scene.ts'

const name = `mail-${randomBytes(5).toString('hex')}`
const environment = testEnvironment()
const seal = createSeal(randomBytes(32), randomBytes)
const clock = startTestClock()
const registry = new Registry()
const metrics = createApiMetrics(registry)
const logged: string[] = []
const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) })
const minuteMs = 60_000

let database: Database
/** The same one, through a line that can be cut. */
let farDatabase: Database
let mongo: TcpProxy
let redisProxy: TcpProxy
let redis: Redis
let server: MailServer
const open: QueuedWork[] = []

beforeAll(async () => {
  mongo = await openTcpProxy(environment.mongodbUri)
  redisProxy = await openTcpProxy(environment.redisUrl)
  database = await openDatabase({ uri: `${environment.mongodbUri}/${name}` })
  farDatabase = await openDatabase({ uri: `mongodb://127.0.0.1:${mongo.port}/${name}` })
  redis = new Redis(environment.redisUrl, { protocol: 2 })
  server = await startMailServer()
})
afterAll(async () => {
  await wipeRedis()
  await database.native.dropDatabase()
  await Promise.all([database.close(), farDatabase.close()])
  redis.disconnect()
  await server.goDown()
  await mongo.close()
  await redisProxy.close()
})
beforeEach(() => {
  logged.length = 0
  server.answer(() => null)
  server.beforeYes(async () => undefined)
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((work) => work.close()))
  await wipeRedis()
  await database.native.collection('mails').deleteMany({})
})

function startReplica(changes: Partial<QueuedWorkDeps> = {}): QueuedWork {
  const work = openQueuedWork({
    database,
    seal,
    clock,
    publicUrl: 'https://atelier.example',
    smtpUrl: server.url,
    mailFrom: 'Atelier <atelier@atelier.example>',
    redisUrl: `redis://127.0.0.1:${redisProxy.port}`,
    redisPrefix: `${name}:`,
    metrics,
    log,
    ...changes,
  })
  open.push(work)
  return work
}

type NewMail = Mail & { readonly code: string }

function newMail(): NewMail {
  const id = randomBytes(5).toString('hex')
  const code = String(100_000 + (randomBytes(4).readUInt32LE() % 900_000))
  const content = { template: 'SignUpCode', code, minutes: 10 } as const
  return { id: `code:${id}`, to: `Ada.${id}@mail.example`, language: 'ko', content, code }
}

const sentTo = (to: string) => server.mails.filter((mail) => mail.to === to)
const rows = async () => await database.native.collection('mails').find().toArray()
const rowOf = async ({ id }: Mail) => {
  const hash = createHash('sha256').update(id).digest('hex')
  return await database.native.collection<MailRow>('mails').findOne({ _id: hash })
}

async function sweep(work: QueuedWork, task = 'sweep-mails'): Promise<void> {
  await work.leaderTasks.find((one) => one.name === task)?.run()
}

async function keys(): Promise<readonly string[]> {
  return await redis.keys(`${name}:*`)
}

async function wipeRedis(): Promise<void> {
  const all = await keys()
  if (all.length > 0) await redis.del(...all)
}

/** Everything that the queue keeps, in clear as Redis has it. */
async function redisText(): Promise<string> {
  const all = await keys()
  const values = await Promise.all(all.map(async (key) => await redis.dumpBuffer(key)))
  return [...all, ...values.map((value) => value?.toString('latin1'))].join('\n')
}

/** Where secrets could be seen by somebody who should not see them. */
async function everythingKept(): Promise<string> {
  const stored = JSON.stringify(await rows())
  const metricsText = await registry.metrics()
  return [stored, await redisText(), logged.join('\n'), metricsText].join('\n').toLowerCase()
}

async function connected(work: QueuedWork): Promise<void> {
  const mail = newMail()
  await eventually(async () => {
    await work.mailer.send(mail)
    expect(sentTo(mail.to)).toHaveLength(1)
  })
}

describe('a mail', () => {
  it('is sent once by two replicas, however often it is asked for', async () => {
    const replicas = [startReplica(), startReplica()]
    await Promise.all(replicas.map(connected))
    const mails = Array.from({ length: 20 }, newMail)
    const asked = replicas.flatMap(({ mailer }) => mails.map((mail) => mailer.send(mail)))
    await Promise.all(asked)
    await eventually(async () => {
      for (const { to } of mails) expect(sentTo(to)).toHaveLength(1)
      expect((await rows()).filter(({ state }) => state !== 'Sent')).toEqual([])
    })
    for (const { to, code } of mails) expect(sentTo(to)[0]).toMatchObject({ code })
    const ids = new Set(server.mails.map(({ messageId }) => messageId))
    expect(ids.size).toBe(server.mails.length)
    for (const row of await rows()) expect(row).toMatchObject({ sealed: null, fault: null })
  })

  it('that the server postpones is sent later, and no trace of it can be read', async () => {
    // The second try lasts, so that nothing changes while the test looks.
    const held = Promise.withResolvers<void>()
    server.beforeYes(async () => await held.promise)
    let tries = 0
    server.answer(() => ((tries += 1) === 1 ? 451 : null))
    const work = startReplica()
    const mail = newMail()
    const { to, code } = mail
    await eventually(async () => {
      await work.mailer.send(mail)
      expect(sentTo(to)).toHaveLength(1)
    })
    expect(tries).toBe(2)
    expect(await rowOf(mail)).toMatchObject({ state: 'Waiting', fault: '451', attempts: 2 })
    const waiting = await everythingKept()
    expect(waiting).toContain('the mail server said 451')
    for (const secret of [to, to.split('@')[0] ?? '', code]) {
      expect(waiting).not.toContain(secret.toLowerCase())
    }
    held.resolve()
    await eventually(async () => expect(await rowOf(mail)).toMatchObject({ state: 'Sent' }))
    expect(sentTo(to)).toHaveLength(1)
    const after = await everythingKept()
    for (const secret of [to, code]) expect(after).not.toContain(secret.toLowerCase())
    expect((await rowOf(mail))?.sealed).toBeNull()
  })

  it('that the server refuses for good fails with the code and is not tried again', async () => {
    server.answer(() => 550)
    const work = startReplica()
    const mail = newMail()
    await eventually(async () => {
      await work.mailer.send(mail)
      expect(await rowOf(mail)).toMatchObject({ state: 'Failed', fault: '550', sealed: null })
    })
    const attempts = server.attempts()
    clock.advance(minuteMs)
    await work.mailer.send(mail)
    await sweep(work)
    server.answer(() => null)
    await connected(work)
    expect(server.attempts()).toBe(attempts + 1)
    expect(sentTo(mail.to)).toEqual([])
    const kept = await everythingKept()
    expect(kept).toContain('the mail server refused a mail')
    expect(kept).not.toContain(mail.to.toLowerCase())
  })

  it('waits while the server is down', async () => {
    await server.goDown()
    const work = startReplica()
    const mail = newMail()
    await eventually(async () => {
      await work.mailer.send(mail)
      expect(await rowOf(mail)).toMatchObject({ state: 'Waiting', fault: 'ESOCKET' })
    })
    await server.comeBack()
    await eventually(() => expect(sentTo(mail.to)).toHaveLength(1))
  })

  it('waits where there is no server, says so once, and goes out when there is one', async () => {
    const alone = startReplica({ smtpUrl: undefined })
    const mail = newMail()
    await alone.mailer.send(mail)
    await alone.mailer.send(newMail())
    expect(logged.filter((line) => line.includes('mails wait'))).toHaveLength(1)
    // It takes tasks too, and each one that it cannot do waits for twice as long as before.
    await alone.close()
    const other = startReplica()
    await connected(other)
    expect(sentTo(mail.to)).toEqual([])
    clock.advance(minuteMs)
    await sweep(other)
    await eventually(() => expect(sentTo(mail.to)).toHaveLength(1))
  })

  it('whose code has expired is not sent any more', async () => {
    const alone = startReplica({ smtpUrl: undefined })
    const [swept, tried] = [newMail(), newMail()]
    await alone.mailer.send(swept)
    clock.advance(10 * minuteMs)
    await sweep(alone)
    expect(await rowOf(swept)).toMatchObject({ state: 'Failed', fault: 'expired', sealed: null })
    await alone.mailer.send(tried)
    clock.advance(10 * minuteMs)
    await alone.close()
    const work = startReplica()
    await connected(work)
    // Asked for once more, it reaches the handler, not the sweep.
    await work.mailer.send(tried)
    await eventually(async () => expect(await rowOf(tried)).toMatchObject({ fault: 'expired' }))
    expect([...sentTo(swept.to), ...sentTo(tried.to)]).toEqual([])
  })

  it('is forgotten a month after its end, and not before', async () => {
    const work = startReplica()
    await connected(work)
    const waiting = newMail()
    await startReplica({ smtpUrl: undefined }).mailer.send(waiting)
    const before = (await rows()).length
    await sweep(work, 'remove-old-mails')
    expect(await rows()).toHaveLength(before)
    clock.advance(30 * 24 * 60 * minuteMs + 1000)
    await sweep(work, 'remove-old-mails')
    expect(await rows()).toMatchObject([{ state: 'Waiting' }])
  })
})

describe('when something fails in between', () => {
  it('Redis loses the task: the outbox brings it back', async () => {
    server.answer(() => 421)
    const work = startReplica()
    const mail = newMail()
    await eventually(async () => {
      await work.mailer.send(mail)
      expect(await rowOf(mail)).toMatchObject({ state: 'Waiting', fault: '421' })
    })
    await wipeRedis()
    server.answer(() => null)
    await sweep(work)
    expect((await keys()).filter((key) => key.includes('mail.send'))).toEqual([])
    clock.advance(minuteMs)
    await sweep(work)
    await eventually(() => expect(sentTo(mail.to)).toHaveLength(1))
  })

  it('Redis is away: nothing throws or waits, and the mail goes later', async () => {
    const work = startReplica()
    await connected(work)
    redisProxy.cut()
    const mail = newMail()
    const times: number[] = []
    for (const one of [mail, ...Array.from({ length: 20 }, newMail)]) {
      const startMs = performance.now()
      await work.mailer.send(one)
      times.push(performance.now() - startMs)
    }
    // Who waited for Redis would do so until its command is given up, after 5 seconds.
    expect(Math.max(...times)).toBeLessThan(4500)
    redisProxy.restore()
    clock.advance(minuteMs)
    await eventually(async () => {
      await sweep(work)
      clock.advance(15_000)
      expect(sentTo(mail.to)).toHaveLength(1)
    })
  })

  it('the handlers run twice and at the same time: one mail goes out', async () => {
    const held = Promise.withResolvers<void>()
    server.beforeYes(async () => await held.promise)
    const [first, second] = [startReplica(), startReplica()]
    const mail = newMail()
    await eventually(async () => {
      await first.mailer.send(mail)
      expect(sentTo(mail.to)).toHaveLength(1)
    })
    // The task is taken away while it runs, and is done a second time meanwhile.
    await wipeRedis()
    const before = await tasksDone()
    await second.mailer.send(mail)
    await eventually(async () => expect(await tasksDone()).toBe(before + 1))
    expect(await rowOf(mail)).toMatchObject({ state: 'Waiting', attempts: 1 })
    held.resolve()
    await eventually(async () => expect(await rowOf(mail)).toMatchObject({ state: 'Sent' }))
    expect(sentTo(mail.to)).toHaveLength(1)
  })

  it('the database goes away after the server’s yes: a copy has the same Message-ID', async () => {
    server.beforeYes(async () => mongo.cut())
    const work = startReplica({ database: farDatabase })
    const mail = newMail()
    await eventually(async () => {
      await work.mailer.send(mail).catch(() => undefined)
      expect(sentTo(mail.to)).toHaveLength(1)
    })
    server.beforeYes(async () => undefined)
    await eventually(() => expect(logged.join('\n')).toContain('a task failed'))
    mongo.restore()
    clock.advance(2 * minuteMs)
    await eventually(async () => {
      await sweep(work)
      clock.advance(15_000)
      expect(sentTo(mail.to)).toHaveLength(2)
    })
    const ids = sentTo(mail.to).map(({ messageId }) => messageId)
    expect(new Set(ids).size).toBe(1)
  })

  it('Redis never answers: the api still closes', async () => {
    const work = openQueuedWork({
      database,
      seal,
      clock,
      metrics,
      log,
      redisUrl: 'redis://127.0.0.1:9',
      publicUrl: 'https://atelier.example',
      mailFrom: 'a@atelier.example',
    })
    await work.mailer.send(newMail())
    const startMs = performance.now()
    await work.close()
    expect(performance.now() - startMs).toBeLessThan(9000)
  })
})

async function tasksDone(): Promise<number> {
  const { values } = await metrics.tasks.get()
  return values.find(({ labels }) => labels.outcome === 'done')?.value ?? 0
}
