import { mkdtemp, rm, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { Pool } from '../../../../src/inference/pool/pool.ts'
import { type PoolServer, startPoolServer } from '../../../../src/platform/pool-pod/server.ts'
import { readKey } from '../../../../src/platform/pool-pod/read-key.ts'
import { signRequest } from '../../../../src/platform/http/request-signature.ts'
import { poolPodState } from '../../../../src/shared/wire/pool.ts'

const nowMs = 1_800_000_000_000
const key = Buffer.alloc(32, 1)
const runner = 'runner-of-this-process'
const uid = 'a0000000-0000-4000-8000-000000000001'
const given = JSON.stringify({ attempt: 1, jobId: '0'.repeat(26), runner, model: 'demo' })

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

/** A pod without slots: all that concerns the wire can be seen before a job begins. */
async function startServer() {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-pool-'))
  closers.push(() => rm(folder, { recursive: true, force: true }))
  const keyFile = path.join(folder, 'key')
  await writeFile(keyFile, key)
  const faults: string[] = []
  const onError = (error: unknown) => void faults.push(String(error))
  const pool = new Pool({
    runner,
    models: [{ name: 'demo', folder: '/nowhere' }],
    slots: [],
    doJob: () => Promise.reject(new Error('there is no slot')),
    onError,
  })
  const server = await startPoolServer({
    listen: { host: '127.0.0.1', port: 0 },
    pool,
    readKey: () => readKey(keyFile),
    clock: { nowMs: () => nowMs },
    newId: () => 'id-of-the-answer',
    onError,
  })
  closers.push(server.close)
  return { pool, server, keyFile, faults }
}

type Sending = {
  readonly body?: string
  readonly key?: Uint8Array
  readonly signedMs?: number
  readonly headers?: Record<string, string>
}

async function ask(server: PoolServer, line: string, sending: Sending = {}) {
  const [method = '', target = ''] = line.split(' ')
  const { body = '', signedMs = nowMs } = sending
  const signed = { method, path: target, body }
  const headers = signRequest(signed, sending.key ?? key, { nowMs: signedMs })
  return await send(server, line, { body, headers, ...sending })
}

async function send(server: PoolServer, line: string, { body = '', headers = {} }: Sending = {}) {
  const [method = '', target = ''] = line.split(' ')
  const { host, port } = server.address
  const response = await fetch(`http://${host}:${port}${target}`, {
    method,
    headers,
    ...(body !== '' && { body }),
  })
  const text = await response.text()
  const answer: unknown = text === '' ? undefined : JSON.parse(text)
  return { status: response.status, type: response.headers.get('content-type'), answer }
}

describe('the server of a pool pod', () => {
  test('answers the probes without a signature', async () => {
    const { server } = await startServer()
    expect(await send(server, 'GET /healthz')).toMatchObject({ status: 200 })
    // Without a slot that is warm nothing can be served.
    expect(await send(server, 'GET /readyz?verbose')).toMatchObject({ status: 503 })
  })

  test('says what it is', async () => {
    const { server } = await startServer()
    const { status, answer } = await ask(server, 'GET /v1/state')
    expect(status).toBe(200)
    expect(poolPodState.parse(answer)).toEqual({ runner, draining: false, slots: [] })
  })

  test.each([
    ['unsigned', { headers: {} }],
    ['signed with another key', { key: Buffer.alloc(32, 2) }],
    ['signed too long ago', { signedMs: nowMs - 300_001 }],
    ['signed for another body', { body: given, headers: signRequestOf(`${given} `) }],
  ])('refuses what is %s, and says nothing else', async (_, sending) => {
    const { server } = await startServer()
    for (const line of [`PUT /v1/jobs/${uid}`, 'PUT /nowhere', 'PUT /v1/jobs/!']) {
      const { status, type, answer } = await ask(server, line, { body: '', ...sending })
      expect({ status, type }).toEqual({ status: 401, type: 'application/problem+json' })
      expect(answer).toEqual({
        type: 'https://atelier.dev/problems/auth.invalid_token',
        title: 'The token is not valid',
        status: 401,
        code: 'auth.invalid_token',
        detail: 'The token is not valid',
        instance: 'id-of-the-answer',
      })
    }
  })

  test('reports clocks that differ, but not what anybody can send', async () => {
    const { server, faults } = await startServer()
    await ask(server, 'GET /v1/state', { headers: {} })
    await ask(server, 'GET /v1/state', { key: Buffer.alloc(32, 2) })
    expect(faults).toEqual([])
    await ask(server, 'GET /v1/state', { signedMs: nowMs + 300_001 })
    expect(faults).toEqual([expect.stringContaining('Expired')])
  })

  test('takes a new key as soon as its file changes', async () => {
    const { server, keyFile } = await startServer()
    const next = Buffer.alloc(32, 9)
    await writeFile(keyFile, next)
    expect(await ask(server, 'GET /v1/state')).toMatchObject({ status: 401 })
    expect(await ask(server, 'GET /v1/state', { key: next })).toMatchObject({ status: 200 })
  })

  test.each([
    ['is gone', (file: string) => unlink(file)],
    ['is too short', (file: string) => writeFile(file, 'short')],
  ])('serves nobody when the key %s', async (_, spoil) => {
    const { server, keyFile, faults } = await startServer()
    await spoil(keyFile)
    const { status, answer } = await ask(server, 'GET /v1/state', { key: Buffer.from('short') })
    expect(status).toBe(500)
    expect(answer).toMatchObject({ code: 'platform.misconfigured' })
    expect(JSON.stringify(answer)).not.toContain(keyFile)
    expect(faults).toEqual([expect.stringContaining(keyFile)])
  })

  test.each([
    ['GET /v1/nothing', 404, 'request.not_found'],
    ['GET /v1/jobs/', 404, 'request.not_found'],
    [`GET /v1/jobs/${'a'.repeat(65)}?attempt=1`, 404, 'request.not_found'],
    ['POST /v1/state', 405, 'request.method_not_allowed'],
    [`POST /v1/jobs/${uid}`, 405, 'request.method_not_allowed'],
    [`GET /v1/jobs/${uid}?attempt=1`, 404, 'job.not_found'],
    [`GET /v1/jobs/${uid}?attempt=1&waitSeconds=60`, 404, 'job.not_found'],
    [`GET /v1/jobs/${uid}`, 400, 'request.invalid'],
    [`GET /v1/jobs/${uid}?attempt=0`, 400, 'request.invalid'],
    [`GET /v1/jobs/${uid}?attempt=1001`, 400, 'request.invalid'],
    [`GET /v1/jobs/${uid}?attempt=1&waitSeconds=61`, 400, 'request.invalid'],
    [`GET /v1/jobs/${uid}?attempt=1&wait=1`, 400, 'request.invalid'],
    [`DELETE /v1/jobs/${uid}`, 400, 'request.invalid'],
  ])('answers %s with %i', async (line, status, code) => {
    const { server } = await startServer()
    expect(await ask(server, line)).toMatchObject({ status, answer: { code } })
  })

  test('refuses a job with the code of what stands against it', async () => {
    const { server, pool } = await startServer()
    const put = async (body: string) => await ask(server, `PUT /v1/jobs/${uid}`, { body })
    expect(await put(given)).toMatchObject({ status: 409, answer: { code: 'pool.busy' } })
    expect(await put(given.replace(runner, 'another-runner'))).toMatchObject({
      status: 409,
      answer: { code: 'pool.runner_changed' },
    })
    await pool.drain()
    expect(await put(given)).toMatchObject({ status: 409, answer: { code: 'pool.draining' } })
  })

  test.each([
    ['no JSON', '{', []],
    ['no object', '[]', ['']],
    ['an unknown model', given.replace('demo', 'other'), ['/model']],
    ['a field too many', given.replace('{', '{"prompt":"x",'), ['/prompt']],
    ['attempt 0', given.replace('"attempt":1', '"attempt":0'), ['/attempt']],
  ])('refuses %s and names the field', async (_, body, paths) => {
    const { server } = await startServer()
    const { status, answer } = await ask(server, `PUT /v1/jobs/${uid}`, { body })
    expect(status).toBe(400)
    const errors = paths.map((field): unknown => expect.objectContaining({ path: field }))
    expect(answer).toMatchObject({ code: 'request.invalid', ...(errors.length > 0 && { errors }) })
  })

  test('reads no body above 16 KiB, signed or not', async () => {
    const { server } = await startServer()
    const bytes = 16 * 1024
    const put = async (body: string) => await ask(server, `PUT /v1/jobs/${uid}`, { body })
    expect(await put(' '.repeat(bytes))).toMatchObject({ status: 400 })
    expect(await put(' '.repeat(bytes + 1))).toMatchObject({ status: 413 })
  })

  test('forgets a job that it never had', async () => {
    const { server } = await startServer()
    expect(await ask(server, `DELETE /v1/jobs/${uid}?attempt=1`)).toMatchObject({ status: 204 })
    const { status, answer } = await ask(server, `PUT /v1/jobs/${uid}`, { body: given })
    expect({ status, answer }).toMatchObject({
      status: 409,
      answer: { code: 'pool.attempt_outdated' },
    })
  })

  test('says which port is taken', async () => {
    const { server, pool } = await startServer()
    const again = startPoolServer({
      listen: server.address,
      pool,
      readKey: () => Promise.resolve(key),
      clock: { nowMs: () => nowMs },
      newId: () => 'x',
      onError: () => {},
    })
    await expect(again).rejects.toMatchObject({ code: 'platform.misconfigured' })
  })
})

function signRequestOf(body: string): Record<string, string> {
  return signRequest({ method: 'PUT', path: `/v1/jobs/${uid}`, body }, key, { nowMs })
}
