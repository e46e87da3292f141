import { randomBytes, randomInt } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PoolAssignments } from '../../../src/controller/generation-job/pool-assignments.ts'
import { openPoolClient, type PoolClient } from '../../../src/controller/pool-client.ts'
import { signatureFault } from '../../../src/platform/http/request-signature.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { createObject, mergePatch } from '../../../src/platform/kube/objects.ts'
import { secrets } from '../../../src/platform/kube/resources.ts'
import { poolPort } from '../../../src/shared/wire/pool.ts'
import { eventually } from '../../support/eventually.ts'
import { createNamespace, deleteNamespace, openAdminClient } from '../../support/kube.ts'

const ip = `127.${randomInt(100, 250)}.${randomInt(1, 250)}.${randomInt(1, 250)}`
const name = 'pool-warm-key'

let admin: KubeClient
let namespace: string
let key: Uint8Array
let server: Server
let client: PoolClient
let stopping: AbortController
let respond: (request: IncomingMessage, response: ServerResponse) => void
/** Such as `PUT /v1/jobs/uid`, of requests that were signed with the key of the moment. */
let asked: string[]
/** Their bodies; undefined for those without. */
let told: unknown[]
/** Stands still unless a test puts it forward. */
const time = { nowMs: 0 }
const clock = { nowMs: () => time.nowMs }

beforeAll(async () => {
  admin = openAdminClient()
  namespace = await createNamespace(admin, 'pool-client')
})
afterAll(async () => {
  await deleteNamespace(admin, namespace)
  await admin.close()
})

beforeEach(async () => {
  key = randomBytes(32)
  await writeKey()
  asked = []
  told = []
  time.nowMs = 0
  stopping = new AbortController()
  respond = (_, response) => json(response, 200, running)
  server = createServer((request, response) => {
    readBody(request).then(
      (body) => take({ request, response, body }),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => {
    server.listen(poolPort, ip, resolve)
  })
  client = openPoolClient({ kube: admin, clock })
})
afterEach(async () => {
  stopping.abort()
  await client.close()
  server.closeAllConnections()
  server.close()
})

async function writeKey(): Promise<void> {
  const data = { key: Buffer.from(key).toString('base64') }
  const ref = { name, namespace }
  await mergePatch(admin, secrets, { ...ref, patch: { data } }).catch(
    async () => await createObject(admin, secrets, { metadata: ref, data }),
  )
}

type Exchange = { request: IncomingMessage; response: ServerResponse; body: string }

function take({ request, response, body }: Exchange): void {
  const { method = '', url = '', headers } = request
  const signed = { method, path: url, body, headers }
  if (signatureFault(signed, key, { nowMs: clock.nowMs() }) !== undefined) {
    return json(response, 401, { code: 'auth.invalid_token' })
  }
  asked.push(`${method} ${url}`)
  told.push(body === '' ? undefined : JSON.parse(body))
  respond(request, response)
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const running = { attempt: 1, state: 'Running' }
const unreachable = { kind: 'Unreachable' }

const pod = () => ({ namespace, pool: 'warm', ip })
const assignment = { attempt: 1, jobId: 'a'.repeat(26), runner: 'runner-1', model: 'demo' }

async function assign() {
  return await client.assign(pod(), { uid: 'u', assignment, signal: stopping.signal })
}

describe('the client of pool pods', () => {
  it('signs what it says with the key of the pool', async () => {
    expect(await assign()).toEqual({ kind: 'Answered', value: running })
    const question = { uid: 'u', attempt: 1, signal: stopping.signal }
    await client.wait(pod(), { ...question, waitSeconds: 7 })
    respond = (_, response) => response.writeHead(204).end()
    expect(await client.cancel(pod(), question)).toEqual({ kind: 'Answered' })
    respond = (_, response) =>
      json(response, 200, { runner: 'runner-1', draining: false, slots: [] })
    expect(await client.state(pod(), question)).toMatchObject({ kind: 'Answered' })
    expect(asked).toEqual([
      'PUT /v1/jobs/u',
      'GET /v1/jobs/u?attempt=1&waitSeconds=7',
      'DELETE /v1/jobs/u?attempt=1',
      'GET /v1/state',
    ])
  })

  it('reads a key again that is not accepted any more, but not all the time', async () => {
    await assign()
    key = randomBytes(32)
    await writeKey()
    expect(await assign()).toMatchObject(unreachable)
    time.nowMs = 5000
    expect(await assign()).toMatchObject({ kind: 'Answered' })
  })

  it.each([
    ['pool.busy', 409, { kind: 'Refused', code: 'pool.busy' }],
    ['pool.runner_changed', 409, { kind: 'Refused', code: 'pool.runner_changed' }],
    ['request.invalid', 400, { kind: 'Refused', code: 'request.invalid' }],
    ['job.not_found', 404, { kind: 'Unknown' }],
    ['something.else', 409, unreachable],
  ])('understands the refusal %s', async (code, status, expected) => {
    respond = (_, response) => json(response, status, { code })
    expect(await assign()).toMatchObject(expected)
  })

  it.each([
    ['an error status', (response: ServerResponse) => response.writeHead(500).end()],
    ['something that is not JSON', (response: ServerResponse) => response.end('<html>')],
    ['JSON of another shape', (response: ServerResponse) => response.end('{"state":"Maybe"}')],
    ['more than any answer is', (response: ServerResponse) => response.end(' '.repeat(70_000))],
    ['a cut connection', (response: ServerResponse) => response.destroy()],
  ])('says that the pod is unreachable after %s', async (_, behave) => {
    respond = (_request, response) => void behave(response)
    expect(await assign()).toMatchObject(unreachable)
  })

  it('says so too when there is no such pod or no key', async () => {
    const signal = stopping.signal
    const gone = { ...pod(), ip: '127.99.99.99' }
    expect(await client.state(gone, { signal })).toMatchObject(unreachable)
    expect(await client.state({ ...pod(), pool: 'other' }, { signal })).toMatchObject(unreachable)
  })

  it('gives up at once when the process stops', async () => {
    respond = () => stopping.abort(new Error('the test stops'))
    await expect(assign()).rejects.toThrow('the test stops')
  })
})

/** The pod keeps questions until it is told to answer them. */
function holdQuestions(): ServerResponse[] {
  const held: ServerResponse[] = []
  respond = ({ method }, response) => {
    if (method === 'GET') held.push(response)
    else if (method === 'PUT') json(response, 200, running)
    else response.writeHead(204).end()
  }
  return held
}

describe('what is said to a pod about an attempt', () => {
  const slot = { uid: 'u', jobId: 'a'.repeat(26), attempt: 1, model: 'demo', runner: 'runner-1' }
  const at = { uid: 'u', attempt: 1 }
  let assignments: PoolAssignments
  let woken: string[]
  let ended: string[]

  beforeEach(() => {
    woken = []
    ended = []
    assignments = new PoolAssignments({
      client,
      clock,
      random: Math.random,
      wake: (job) => woken.push(job),
      onOver: ({ uid, attempt }, { cause }) => ended.push(`${uid}/${attempt} ${cause}`),
      onError: (error) => ended.push(String(error)),
    })
  })
  afterEach(async () => await assignments.stop())

  const given = () => ({ ...slot, podUID: 'p', pod: pod() })
  const answers = () => assignments.answersOf('ns/job', at)

  it('is handed over once, asked after, and told once when it is over', async () => {
    const held = holdQuestions()
    assignments.assign('ns/job', given())
    assignments.assign('ns/job', given())
    await eventually(() => expect(held).toHaveLength(1))
    expect(answers()).toMatchObject({ state: 'Running', isCancelling: false })
    for (const response of held) json(response, 200, { attempt: 1, state: 'Ended' })
    await eventually(() => expect(answers()).toMatchObject({ state: 'Over', cause: 'Ended' }))
    expect(asked).toEqual(['PUT /v1/jobs/u', 'GET /v1/jobs/u?attempt=1&waitSeconds=30'])
    expect([woken, ended]).toEqual([['ns/job', 'ns/job'], ['u/1 Ended']])
    expect(assignments.answersOf('ns/job', { uid: 'u', attempt: 2 })).toBeUndefined()
    expect(assignments.answersOf('ns/job', { uid: 'other', attempt: 1 })).toBeUndefined()
  })

  it.each([undefined, 'other'])('names the model that is to make place: %s', async (instead) => {
    const held = holdQuestions()
    assignments.assign('ns/job', { ...given(), instead })
    await eventually(() => expect(held).toHaveLength(1))
    expect(told).toEqual([{ ...assignment, ...(instead && { instead }) }, undefined])
  })

  it('is a cancel at once, although a question is under way', async () => {
    const held = holdQuestions()
    assignments.assign('ns/job', given())
    await eventually(() => expect(held).toHaveLength(1))
    assignments.cancel('ns/job', given())
    assignments.cancel('ns/job', given())
    await eventually(() => expect(held).toHaveLength(2))
    expect(asked.filter((each) => each.startsWith('DELETE'))).toHaveLength(1)
    expect(answers()).toMatchObject({ state: 'Running', isCancelling: true })
    json(held[1] as ServerResponse, 200, { attempt: 1, state: 'Ended' })
    await eventually(() => expect(answers()).toMatchObject({ state: 'Over', cause: 'Ended' }))
  })

  it('is never its beginning when it is to end', async () => {
    respond = ({ method }, response) => response.writeHead(method === 'GET' ? 404 : 204).end()
    assignments.cancel('ns/job', given())
    await eventually(() => expect(answers()).toMatchObject({ state: 'Over', cause: 'Unknown' }))
    expect(asked.map((each) => each.split(' ')[0])).toEqual(['DELETE', 'GET'])
  })

  it('is repeated while the pod is silent, and the silence is told', async () => {
    respond = (_, response) => response.destroy()
    assignments.assign('ns/job', given())
    await eventually(() => expect(answers()?.silentSinceMs).toBeDefined())
    respond = (_, response) => json(response, 200, running)
    await eventually(() => expect(answers()).toMatchObject({ state: 'Running' }))
    expect(answers()?.silentSinceMs).toBeUndefined()
  })

  it('is given up when the slot stays taken for too long', async () => {
    respond = (_, response) => json(response, 409, { code: 'pool.busy' })
    assignments.assign('ns/job', given())
    await eventually(() => expect(asked.length).toBeGreaterThan(1))
    expect(answers()?.state).toBe('Assigning')
    time.nowMs = 15_000
    await eventually(() => expect(answers()).toMatchObject({ state: 'Over', cause: 'Refused' }))
  })

  it.each([
    ['pool.draining', 'Refused'],
    ['pool.attempt_outdated', 'Refused'],
    ['pool.runner_changed', 'Restarted'],
  ])('ends with the refusal %s', async (code, cause) => {
    respond = (_, response) => json(response, 409, { code })
    assignments.assign('ns/job', given())
    await eventually(() => expect(answers()).toMatchObject({ state: 'Over', cause }))
    expect(asked).toHaveLength(1)
  })

  it('is that nobody wants it any more, when its job is gone or has another attempt', async () => {
    const held = holdQuestions()
    assignments.assign('ns/job', given())
    await eventually(() => expect(held).toHaveLength(1))
    assignments.assign('ns/job', { ...given(), attempt: 2 })
    await eventually(() => expect(asked).toContain('DELETE /v1/jobs/u?attempt=1'))
    assignments.abandon('ns/job')
    await eventually(() => expect(asked).toContain('DELETE /v1/jobs/u?attempt=2'))
    expect(answers()).toBeUndefined()
  })
})
