import { randomBytes } from 'node:crypto'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrations } from '../../../src/api/migrations/index.ts'
import { openElection } from '../../../src/api/tasks/election.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import type { Documents } from '../../../src/platform/mongo/documents.ts'
import { openLease } from '../../../src/platform/mongo/lease.ts'
import { migrate, type Migration } from '../../../src/platform/mongo/migrate.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { startTestClock } from './scene.ts'

let database: Database
const clock = startTestClock()

function uriOf(name: string): string {
  const uri = new URL(testEnvironment().mongodbUri)
  uri.pathname = `/${name}`
  return uri.toString()
}

beforeAll(async () => {
  database = await openDatabase({ uri: uriOf(`mongo-${randomBytes(5).toString('hex')}`) })
})
afterAll(async () => {
  await database.native.dropDatabase()
  await database.close()
})

function lease(name: string, holder: string, durationMs = 10_000) {
  return openLease({ database, name, holder, durationMs, clock })
}

async function run(steps: readonly Migration[], holder = 'a'): Promise<number> {
  return await migrate({ database, migrations: steps, lock: lease('migrations', holder), pause })
}

describe('migrations', () => {
  it('run once, in order, whoever comes at the same time', async () => {
    const ran: number[] = []
    const steps = [1, 2, 3].map((number) => ({
      number,
      name: `step ${number}`,
      up: async () => {
        ran.push(number)
        await pause(20)
      },
    }))
    const versions = await Promise.all(['a', 'b', 'c'].map((holder) => run(steps, holder)))
    expect(versions).toEqual([3, 3, 3])
    expect(ran).toEqual([1, 2, 3])
  })

  it('that break off go on where they were', async () => {
    const ran: number[] = []
    const known = [1, 2, 3].map((number) => ({ number, name: 'known', up: async () => {} }))
    const broken = {
      number: 4,
      name: 'x',
      up: async () => await Promise.reject(new Error('killed')),
    }
    await expect(run([...known, broken])).rejects.toThrow('killed')
    const whole = { number: 4, name: 'x', up: async () => void ran.push(4) }
    expect(await run([...known, whole], 'b')).toBe(4)
    expect(ran).toEqual([4])
  })

  it('refuse a database that is newer than the program', async () => {
    const known = [{ number: 1, name: 'known', up: async () => {} }]
    await expect(run(known)).rejects.toMatchObject({ code: 'platform.misconfigured' })
  })

  it('of the api can be repeated', async () => {
    for (const { up } of [...migrations, ...migrations]) await up(database)
    const indexes = await database.native.collection('jobs').indexes()
    expect(indexes.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['newest', 'newest_of_user', 'newest_of_department', 'by_state']),
    )
  })
})

describe('an election', () => {
  it('has one leader, who can lose it by silence and give it up', async () => {
    const elected: string[] = []
    const [a, b] = ['a', 'b'].map((holder) =>
      openElection(lease('tasks', holder), () => elected.push(holder)),
    )
    if (a === undefined || b === undefined) throw new Error('two candidates')
    await a.campaign()
    await b.campaign()
    expect([a.isLeader(), b.isLeader()]).toEqual([true, false])
    await a.campaign()
    expect(elected).toEqual(['a'])
    clock.advance(10_001)
    await b.campaign()
    await a.campaign()
    expect([a.isLeader(), b.isLeader()]).toEqual([false, true])
    await b.resign()
    await a.campaign()
    expect(elected).toEqual(['a', 'b', 'a'])
  })

  it('with many candidates at once has one winner', async () => {
    const holders = Array.from({ length: 8 }, (_, index) => `h${index}`)
    const won = await Promise.all(holders.map((holder) => lease('crowd', holder).acquire()))
    expect(won.filter(Boolean)).toHaveLength(1)
  })

  it('is lost when the database cannot be asked', async () => {
    const real = lease('silent', 'a')
    let away = false
    const acquire = async () => {
      if (away) throw new Error('away')
      return await real.acquire()
    }
    const election = openElection({ ...real, acquire }, () => {})
    await election.campaign()
    expect(election.isLeader()).toBe(true)
    away = true
    await expect(election.campaign()).rejects.toThrow('away')
    expect(election.isLeader()).toBe(false)
  })
})

describe('a database', () => {
  it('that does not answer is unavailable, one without a name is a mistake', async () => {
    const nowhere = { uri: 'mongodb://127.0.0.1:1/name', timeoutMs: 300 }
    await expect(openDatabase(nowhere)).rejects.toMatchObject({ code: 'platform.unavailable' })
    const unnamed = openDatabase({ uri: 'mongodb://127.0.0.1:1' })
    await expect(unnamed).rejects.toMatchObject({ code: 'platform.misconfigured' })
  })

  it('says whether it answers', async () => {
    expect(await database.ping()).toBe(true)
  })

  it('tells a duplicate from a new document, under concurrency too', async () => {
    const documents = database.documents<{ _id: string; n: number }>('things')
    const inserted = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => documents.insert({ _id: 'x', n })),
    )
    expect(inserted.filter(Boolean)).toHaveLength(1)
    const some = ['w', 'x', 'y'].map((_id) => ({ _id, n: 0 }))
    expect(await documents.insertMissing(some)).toBe(false)
    expect((await documents.find({}, { limit: 9 })).map(({ _id }) => _id)).toHaveLength(3)
    expect(await documents.insertMissing([{ _id: 'z', n: 0 }])).toBe(true)
    expect(await documents.remove({ _id: 'x' })).toBe(true)
    expect(await documents.remove({ _id: 'x' })).toBe(false)
    expect(await documents.findById('x')).toBeNull()
  })
})

type Row = { readonly _id: string; readonly count: number }

function row(): Row {
  return { _id: randomBytes(8).toString('hex'), count: 1 }
}

describe('a connection that breaks', () => {
  const change = { $inc: { count: 1 } }
  const requests: readonly (readonly [string, (rows: Documents<Row>) => Promise<unknown>])[] = [
    ['find', async (rows) => await rows.findById('a')],
    ['insert', async (rows) => await rows.insert(row())],
    ['insertMissing', async (rows) => await rows.insertMissing([row(), row()])],
    ['update', async (rows) => await rows.update({ _id: 'a' }, change)],
    ['updateEach', async (rows) => await rows.updateEach([{ filter: { _id: 'a' }, change }])],
    ['removeMany', async (rows) => await rows.removeMany({ count: 9 })],
  ]

  it.each(requests)('in %s leaves the effect unknown, and says so', async (_, request) => {
    const line = await openCuttableLine(new URL(testEnvironment().mongodbUri))
    const through = await openDatabase({ uri: line.uri })
    try {
      const rows = through.documents<Row>('cut')
      await request(rows)
      line.cutNext()
      await expect(request(rows)).rejects.toMatchObject({ code: 'platform.unavailable' })
      line.mend()
      await request(rows)
    } finally {
      await through.native.dropDatabase()
      await through.close()
      await line.close()
    }
  })
})

describe('a connection that is stuck', () => {
  it('is replaced by another one as soon as the database can be reached', async () => {
    const name = `stuck-${randomBytes(5).toString('hex')}`
    // So long the search for the lost server takes.
    const stuck = await openDatabase({ uri: uriOf(name), timeoutMs: 3000 })
    try {
      const rows = stuck.documents<Row>('rows')
      await rows.insert({ _id: 'a', count: 1 })
      loseServer(stuck)
      await expect(rows.findById('a')).rejects.toMatchObject({ code: 'platform.unavailable' })
      await eventually(async () => expect(await rows.findById('a')).toMatchObject({ count: 1 }))
      expect(await stuck.ping()).toBe(true)
    } finally {
      await database.native.client.db(name).dropDatabase()
      await stuck.close()
    }
  })
})

type Monitor = {
  readonly close: () => void
  readonly emit: (event: 'resetServer', error: Error) => void
}
type DriverInside = {
  readonly topology: {
    readonly s: { readonly servers: ReadonlyMap<string, { readonly monitor: Monitor }> }
  }
}

/** What happens in the driver by itself at the wrong moment: nobody looks for its server again. */
function loseServer({ native }: Database): void {
  const { topology } = native.client as unknown as DriverInside
  for (const { monitor } of topology.s.servers.values()) {
    monitor.close()
    monitor.emit('resetServer', new Error('lost'))
  }
}

/** A connection to the database that is cut when something is asked through it. */
async function openCuttableLine(target: URL) {
  let isCut = false
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    for (const one of [client, upstream]) {
      sockets.add(one)
      one.on('error', () => one.destroy())
      one.on('close', () => sockets.delete(one))
    }
    upstream.pipe(client)
    client.on('data', (bytes) => {
      // Whatever asks for more than whether somebody is there.
      if (isCut && bytes.includes('cut')) for (const one of [client, upstream]) one.destroy()
      else upstream.write(bytes)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return {
    uri: uriOf(`cut-${randomBytes(5).toString('hex')}`).replace(
      target.host,
      `127.0.0.1:${address.port}`,
    ),
    cutNext: () => {
      isCut = true
    },
    mend: () => {
      isCut = false
    },
    close: async () => {
      for (const one of sockets) one.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
