import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { problem } from '../../../src/shared/wire/problem.ts'
import { startApi, type TestApi } from './harness.ts'
import { type OperationAt, operationsOf, readDocument } from './openapi-document.ts'

const isLong = process.env['ATELIER_TEST_LONG'] === '1'
const numRuns = isLong ? 10_000 : 1000

let api: TestApi
let operations: readonly OperationAt[]
beforeAll(async () => {
  api = await startApi()
  const document = readDocument((await api.call({ url: '/openapi.json' })).json())
  // Signing out would make every case after it a mere 401.
  operations = operationsOf(document).filter(
    ({ operation }) => operation.operationId !== 'endSession',
  )
})
afterAll(async () => {
  await api.close()
})

/** Texts that have broken something somewhere. */
const hostileTexts = [
  '',
  '\0',
  '\ud800',
  '\udfff\ud800',
  'null',
  '__proto__',
  'constructor',
  '$where',
  '{"$gt":""}',
  '../../etc/passwd',
  '..%2f..%2f',
  "' OR 1=1 --",
  '<script>alert(1)</script>',
  '\r\nx-injected: 1',
  '💥'.repeat(50),
  'İ',
  'a'.repeat(10_000),
  '-1',
  '1e400',
  '0x10',
  '01jd6z0c5m8k2v3n4p5q6r7s8t',
  '9'.repeat(400),
]
const hostileValues: readonly unknown[] = [
  ...hostileTexts,
  null,
  true,
  0,
  -0,
  -1,
  1e308,
  2 ** 53,
  0.1,
  [],
  {},
  { $gt: '' },
  { $where: 'sleep(1000)' },
  { toString: 1, valueOf: null },
  [[[[[[]]]]]],
  Array.from({ length: 1000 }, () => 0),
]
const hostileText = fc.oneof(fc.constantFrom(...hostileTexts), fc.string({ unit: 'binary' }))
const value = fc.oneof(fc.constantFrom(...hostileValues), hostileText, fc.jsonValue(), fc.double())
/** The path as bytes on the wire: broken percent-encoding stays broken. */
const segment = fc.oneof(
  hostileText.map((raw) => encodeURIComponent(raw.toWellFormed())),
  fc.constantFrom('%', '%zz', '%00', '%c0%af', '%ed%a0%80', '%2e%2e%2f', '*', ';a=b', '%7B%7D'),
  fc.constant('01jd6z0c5m8k2v3n4p5q6r7s8t'),
)
const queryNames = ['limit', 'cursor', 'state', 'expires', 'signature', 'limit[]', '__proto__', '']
const query = fc
  .array(fc.tuple(fc.constantFrom(...queryNames), segment), { maxLength: 4 })
  .map((pairs) => pairs.map(([name, raw]) => `${name}=${raw}`).join('&'))
const headerNames = [
  'idempotency-key',
  'prefer',
  'accept',
  'accept-version',
  'content-type',
  'content-length',
  'transfer-encoding',
  'host',
  'origin',
  'range',
  'if-none-match',
  'last-event-id',
  'x-forwarded-for',
  'x-http-method-override',
  'expect',
  'cookie',
]
/** Waiting is tested elsewhere; here it would only take its time. */
const headerValue = hostileText.filter((raw) => !/wait/i.test(raw))
const headers = fc.dictionary(fc.constantFrom(...headerNames), headerValue, { maxKeys: 3 })

/** A good body with one field, somewhere, replaced or added. */
const nearlyGood = fc
  .tuple(
    fc.constantFrom('task', 'model', 'parameters', 'inputs', 'priority', 'email', 'password', 'x'),
    fc.option(
      fc.constantFrom('prompt', 'width', 'steps', 'seed', 'guidanceScale', 'scheduler', 'y'),
    ),
    value,
  )
  .map(([field, inner, bad]) => ({ field, inner, bad }))

const body = fc.oneof(
  fc.record({ kind: fc.constant('None' as const) }),
  fc.record({ kind: fc.constant('Json' as const), json: value }),
  fc.record({ kind: fc.constant('Text' as const), text: hostileText }),
  fc.record({ kind: fc.constant('NearlyGood' as const), change: nearlyGood }),
)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS')
const caller = fc.constantFrom('mina', 'root', 'gast', 'none', 'garbage')

type Generated<A> = A extends fc.Arbitrary<infer Value> ? Value : never
type Change = { readonly field: string; readonly inner: string | null; readonly bad: unknown }

function payloadOf(given: Generated<typeof body>): string | undefined {
  if (given.kind === 'Json') return JSON.stringify(given.json)
  if (given.kind === 'Text') return given.text
  return given.kind === 'NearlyGood' ? JSON.stringify(changed(given.change)) : undefined
}

function changed({ field, inner, bad }: Change): object {
  const good = api.jobBody()
  if (inner === null) return { ...good, [field]: bad }
  return { ...good, parameters: { prompt: 'metal', [inner]: bad } }
}

function pathOf({ path }: OperationAt, segments: readonly string[]): string {
  let used = 0
  return path.replace(/\{\w+\}/g, () => segments[used++ % segments.length] ?? 'x')
}

async function authorizationOf(who: Generated<typeof caller>): Promise<Record<string, string>> {
  if (who === 'none') return {}
  if (who === 'garbage') return { authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' }
  return { authorization: `Bearer ${await api.tokenOf(who)}` }
}

describe('nothing that a client sends', () => {
  test(
    `gives a 5xx or an answer without its form (${numRuns} cases)`,
    { timeout: 900_000 },
    async () => {
      const input = fc.record({
        index: fc.nat(),
        override: fc.oneof(
          { weight: 9, arbitrary: fc.constant(null) },
          { weight: 1, arbitrary: method },
        ),
        segments: fc.array(segment, { minLength: 1, maxLength: 2 }),
        query,
        headers,
        body,
        caller,
      })
      const statuses = new Map<number, number>()
      await fc.assert(
        fc.asyncProperty(input, async (given) => {
          const operation = operations[given.index % operations.length]
          if (operation === undefined) throw new Error('there are operations')
          const payload = payloadOf(given.body)
          const contentType =
            given.body.kind === 'Text' ? {} : { 'content-type': 'application/json' }
          const address = pathOf(operation, given.segments)
          const response = await api.api.app.inject({
            method: methods[given.override ?? operation.method.toUpperCase()] ?? 'GET',
            url: given.query === '' ? address : `${address}?${given.query}`,
            headers: { ...contentType, ...given.headers, ...(await authorizationOf(given.caller)) },
            ...(payload !== undefined && { payload }),
          })
          statuses.set(response.statusCode, (statuses.get(response.statusCode) ?? 0) + 1)
          expect(response.statusCode).toBeLessThan(500)
          if (response.statusCode < 400 || response.body === '') return
          expect(response.headers['content-type']).toBe('application/problem+json')
          expect(problem.parse(response.json()).status).toBe(response.statusCode)
        }),
        { numRuns },
      )
      // The cases reach every corner: accepted, refused, unknown, unsupported.
      for (const status of [200, 400, 401, 403, 404, 405, 415])
        expect([...statuses.keys()]).toContain(status)
      const errors = api.logged.filter((line) => line.includes('"level":50'))
      expect(errors).toEqual([])
    },
  )
})

const methods: Readonly<
  Record<string, 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD' | 'OPTIONS'>
> = {
  GET: 'GET',
  POST: 'POST',
  PUT: 'PUT',
  DELETE: 'DELETE',
  PATCH: 'PATCH',
  HEAD: 'HEAD',
  OPTIONS: 'OPTIONS',
}

describe('any text that is text', () => {
  test('is a prompt, and comes back trimmed, in NFC and otherwise as it was', async () => {
    const unprintable = /[^\P{Cc}\n\t]|[\p{Cs}\u202a-\u202e\u2066-\u2069]/u
    const prompt = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 200 })
      .filter((raw) => !unprintable.test(raw))
    await fc.assert(
      fc.asyncProperty(prompt, async (given) => {
        const id = await api.submit('noor', { parameters: { prompt: given } })
        const read = await api.call({ url: `/v1/jobs/${id}`, as: 'noor' })
        expect(read.json().parameters.prompt).toBe(given.normalize('NFC').trim())
      }),
      { numRuns: 50 },
    )
  })
})

describe('bytes that are hardly HTTP', () => {
  const requests: readonly (readonly [string, string])[] = [
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a NUL in the address', 'GET /v1/jobs\0 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['no Host', 'GET /v1/models HTTP/1.1\r\n\r\n'],
    ['an odd Host', 'GET /v1/jobs HTTP/1.1\r\nHost: %%%\r\nConnection: close\r\n\r\n'],
    ['a header of 40 kB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`],
    [
      'two lengths',
      'POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
    ],
    [
      'a length and chunks',
      'POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
    [
      'broken percent-encoding',
      'GET /v1/jobs/%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
    [
      'half a pair in percent-encoding',
      'GET /v1/jobs/%ed%a0%80 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
    ['an unknown method', 'BREW /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    [
      'a known method of others',
      'PROPFIND /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
    [
      'an absolute address',
      'GET http://evil.example/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
    ['two slashes', 'GET //evil.example/docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ]

  test('are answered with a 4xx problem document or with nothing', async () => {
    const address = new URL(await api.api.app.listen({ host: '127.0.0.1', port: 0 }))
    const wrong: string[] = []
    for (const [name, bytes] of requests) {
      const socket = connect(Number(address.port), address.hostname)
      await once(socket, 'connect')
      socket.write(bytes, 'latin1')
      const answer = await text(socket).catch(() => '')
      if (!isGoodRefusal(answer)) wrong.push(`${name}: ${answer}`)
    }
    expect(wrong).toEqual([])
  })
})

/** Node itself answers a few faults without a body, before there is a request. */
function isGoodRefusal(answer: string): boolean {
  if (answer === '') return true
  const hasForm = answer.includes('problem+json') || answer.endsWith('\r\n0\r\n\r\n')
  return answer.startsWith('HTTP/1.1 4') && hasForm
}
