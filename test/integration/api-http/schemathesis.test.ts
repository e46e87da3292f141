import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { longTests } from '../../support/long.ts'
import { schemathesisPython } from '../../schemathesis/program.ts'
import { type Cases, runSchemathesis } from '../../schemathesis/run.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

const casesMin = longTests ? 10_000 : 1000
const scale = longTests ? 16 : 1
const timeoutMs = longTests ? 3_600_000 : 600_000

/** A session of their own is needed, or every case after them would be a mere 401. */
const endsSession = ['endSession', 'revokeSession', 'revokeOtherSessions']
/** Its answers end with the job, and schemathesis waits for the end of an answer. */
const endless = ['watchJob']

let api: TestApi
let url: string
let python: string
/** How many answers had which status. */
const statuses = new Map<number, number>()
const failures: string[] = []
let cases = 0

beforeAll(async () => {
  python = await schemathesisPython(AbortSignal.timeout(900_000))
  api = await startApi()
  url = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
  api.api.app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    response.once('finish', () => count(request, response.statusCode))
  })
}, 1_200_000)
afterAll(async () => {
  await api.close()
})

function count({ headers, method, url: path }: IncomingMessage, status: number): void {
  if (headers['x-schemathesis-testcaseid'] === undefined) return
  cases += 1
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
  if (status >= 500) failures.push(`${status} ${method} ${path}`)
}

async function run(
  person: Person,
  given: Pick<Cases, 'phases' | 'perOperationMax' | 'only' | 'except'>,
): Promise<string> {
  const token = await api.tokenOf(person)
  const signal = AbortSignal.timeout(timeoutMs)
  const { exitCode, report } = await runSchemathesis({ python, url, token, signal, ...given })
  return exitCode === 0 ? 'as the document says' : report
}

const stillSignedIn = async (person: Person): Promise<boolean> =>
  (await api.call({ url: '/v1/users/me', as: person })).statusCode === 200

describe('every answer is one that the OpenAPI document names, and none is 5xx', () => {
  const except = [...endless, ...endsSession]

  test(
    'to a super admin, also in requests that use what earlier ones answered',
    { timeout: timeoutMs },
    async () => {
      // Not `coverage`: within half an hour it did not get through our long texts with patterns.
      const phases = ['examples', 'fuzzing', 'stateful'] as const
      expect(await run('root', { phases, perOperationMax: 17 * scale, except })).toBe(
        'as the document says',
      )
      expect(await stillSignedIn('root')).toBe(true)
    },
  )

  // Reading the document takes nine seconds of a core: too much for a handful of cases each.
  test.each(longTests ? ['mina' as const] : [])(
    'to a member',
    { timeout: timeoutMs },
    async (member) => {
      const phases = ['fuzzing'] as const
      expect(await run(member, { phases, perOperationMax: 3 * scale, except })).toBe(
        'as the document says',
      )
      expect(await stillSignedIn(member)).toBe(true)
    },
  )

  test.each(longTests ? [endsSession] : [])(
    'to somebody who ends their own session',
    { timeout: timeoutMs },
    async (...only) => {
      const given = { phases: ['fuzzing'], perOperationMax: 3 * scale, only } as const
      expect(await run('noor', given)).toBe('as the document says')
    },
  )

  test('in enough cases, of which many are accepted', () => {
    expect(failures).toEqual([])
    expect(cases).toBeGreaterThanOrEqual(casesMin)
    expect(statuses.get(200)).toBeGreaterThan(casesMin / 20)
  })
})
