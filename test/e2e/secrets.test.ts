import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../src/platform/mongo/database.ts'
import { startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { findSecrets, formsOf } from '../support/canary.ts'
import { testEnvironment } from '../support/environment.ts'
import { eventually } from '../support/eventually.ts'
import { type Page, readDatabase, readLogs, readRedis } from '../support/remains.ts'
import { type Notes, openNotes } from './secrets-notes.ts'
import { addresses, walk } from './secrets-walk.ts'

let atelier: TestAtelier
let notes: Notes
let remains: Readonly<Record<Place, readonly Page[]>>
const places = [
  'logs',
  'metrics',
  'documents',
  'Redis',
  'commands to Redis',
  'resources',
  'refusals',
] as const
type Place = (typeof places)[number]

beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment())
  notes = openNotes(atelier.apiUrl)
  const commands = await watchRedis()
  const early: Page[] = []
  const look = async () => void early.push(...(await readDocuments()))
  await walk({ notes, atelier, look })
  const { documents, ...late } = await readRemains()
  remains = {
    ...late,
    documents: [...early, ...documents],
    'commands to Redis': await commands(),
  }
})
afterAll(async () => await atelier.stop())

/** Everything that is sent to Redis from now on, also what it forgets at once. */
async function watchRedis(): Promise<() => Promise<readonly Page[]>> {
  const redis = new Redis(atelier.redisUrl, { protocol: 2 })
  const monitor = await redis.monitor()
  const pages: Page[] = []
  monitor.on('monitor', (_time: string, words: readonly string[]) => {
    pages.push({ place: 'a command to Redis', text: words.join(' ') })
  })
  return async () => {
    await redis.ping()
    monitor.disconnect()
    redis.disconnect()
    return pages
  }
}

async function readDocuments(): Promise<readonly Page[]> {
  const database = await openDatabase({ uri: atelier.mongodbUri })
  const mails = database.native.collection('mails')
  await eventually(async () => expect(await mails.countDocuments({ state: 'Waiting' })).toBe(0))
  const documents = await readDatabase(database.native)
  await database.close()
  return documents
}

async function readRemains(): Promise<Omit<typeof remains, 'commands to Redis'>> {
  const kinds = 'generationjobs,models,departments,pods,jobs,configmaps,secrets,events'
  const { stdout } = await atelier.kubectl(['get', kinds, '-A', '-o', 'json'])
  return {
    logs: await readLogs(atelier.folder),
    metrics: await Promise.all(Object.entries(atelier.metricsUrls).map(readMetrics)),
    documents: await readDocuments(),
    Redis: await readRedis(atelier.redisUrl),
    resources: [{ place: 'the cluster', text: stdout }],
    refusals: notes.refusals,
  }
}

async function readMetrics([name, url]: readonly [string, string]): Promise<Page> {
  const response = await fetch(`${url}/metrics`)
  return { place: `the metrics of ${name}`, text: await response.text() }
}

/** Six digits may be part of any number, so a code counts only where it stands alone in a text. */
function codesIn({ place, text }: Page): readonly string[] {
  const words = text
    .split('\n')
    .flatMap(textsIn)
    .flatMap((one) => one.match(/(?<![\w.:+-])\d{6}(?![\w.:-])/g) ?? [])
  return notes.codes.filter((code) => words.includes(code)).map(() => place)
}

/** The texts of one line of JSON without its numbers; any other line as it is. */
function textsIn(line: string): readonly string[] {
  try {
    return stringsOf(JSON.parse(line))
  } catch {
    return [line]
  }
}

function stringsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, one]) => [name, ...stringsOf(one)])
}

describe('the search', () => {
  test('was for secrets of every kind, in places that are not empty', () => {
    const kinds = ['password', 'access token', 'refresh token', 'API key', 'invitation', 'ticket']
    const more = ['cookie', 'signing key', 'seal-key', 'url-key', 'signature', 'controller']
    for (const kind of [...kinds, ...more]) {
      expect(Object.keys(notes.secrets).filter((name) => name.startsWith(kind))).not.toEqual([])
    }
    expect(notes.codes).toHaveLength(3)
    expect(remains.logs.map(({ text }) => text).join()).toContain('request answered')
    expect(remains.metrics.map(({ text }) => text).join()).toContain('atelier_api_sign_ins_total')
    const collections = ['users', 'sessions', 'apiKeys', 'codes', 'mails', 'invites', 'auditLog']
    const read = remains.documents.map(({ place }) => place.replace('the collection ', ''))
    expect(read).toEqual(expect.arrayContaining(collections))
    expect(remains.Redis.length).toBeGreaterThan(5)
    expect(remains['commands to Redis'].length).toBeGreaterThan(50)
    expect(remains.resources[0]?.text).toContain('GenerationJob')
    expect(remains.refusals.length).toBeGreaterThan(25)
  })

  test('finds each secret in each form', () => {
    for (const secret of Object.values(notes.secrets)) {
      for (const { name, texts } of formsOf(secret)) {
        for (const written of texts) {
          const planted = { place: 'here', text: `{"a":1,"b":"xy${written}z"}` }
          const found = findSecrets([planted], { planted: secret })
          expect(found.map(({ form }) => form)).toContain(name)
        }
      }
    }
  })

  test('finds a secret inside of other text that was encoded as a whole', () => {
    const secret = notes.secrets['password signUp'] ?? ''
    for (const before of ['', 'a', 'ab', 'abc']) {
      for (const encoding of ['base64', 'base64url', 'hex'] as const) {
        const text = Buffer.from(`${before}${secret}:end`).toString(encoding)
        expect(findSecrets([{ place: '', text }], { secret })).not.toEqual([])
      }
    }
  })

  test('finds a code that stands alone and no number', () => {
    const [code = ''] = notes.codes
    const found = [`{"code":"${code}"}`, `your code is ${code}`, `{"${code}":1}`]
    const numbers = [
      `{"durationMs":${code}}`,
      `2030-01-01T00:00:00.${code}Z`,
      `0.${code}`,
      `a${code}`,
    ]
    for (const text of found) expect(codesIn({ place: 'here', text })).toEqual(['here'])
    for (const text of numbers) expect(codesIn({ place: 'here', text })).toEqual([])
  })
})

describe.each(places)('what is left in %s', (place) => {
  test('has no secret in any form', () => {
    expect(findSecrets(remains[place], notes.secrets)).toEqual([])
  })

  test('has no code', () => {
    expect(remains[place].flatMap(codesIn)).toEqual([])
  })
})

// The database and nothing else has to know who people are.
test.each(places.filter((place) => place !== 'documents'))('%s name nobody’s address', (place) => {
  const people = atelier.accounts.users.map(({ email }) => [email, email] as const)
  const known = { ...addresses, ...Object.fromEntries(people) }
  expect(findSecrets(remains[place], known)).toEqual([])
})
