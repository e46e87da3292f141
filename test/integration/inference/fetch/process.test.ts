import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { issueCertificate, newAuthority } from '../../../../src/local/certificates.ts'
import { childEnvironment } from '../../../../src/platform/config/environment.ts'
import { exitCodes } from '../../../../src/shared/domain/pod-contract.ts'
import { eventually } from '../../../support/eventually.ts'
import { type PackServer, startPackServer } from '../../../support/pack-server.ts'
import { type FakeInternalApi, startFakeInternalApi } from '../fake-internal-api.ts'
import { fakePack, weights } from './scene.ts'

const main = path.resolve(import.meta.dirname, '../../../../src/inference/main.ts')
const file = 'model.bin'
const pack = fakePack({ [file]: weights(400_000), other: weights(10, 2) })
const token = 'token-of-the-pod'

let folder: string
const closers: (() => Promise<void>)[] = []
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-fetch-'))
  await writeFile(path.join(folder, 'token'), token)
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  await rm(folder, { recursive: true, force: true })
})

type Tls = { readonly cert: string; readonly key: string }

async function serve(tls?: Tls): Promise<PackServer> {
  const server = await startPackServer(pack.files, tls)
  closers.push(server.close)
  return server
}

async function startApi(): Promise<FakeInternalApi> {
  const work = {
    task: 'TextToImage' as const,
    model: { name: 'm', delivery: { type: 'Embedded' as const } },
    parameters: {},
    inputs: [],
    loras: [],
  }
  const api = await startFakeInternalApi({ work, token })
  closers.push(api.close)
  return api
}

type Fetcher = {
  readonly process: ChildProcess
  readonly end: Promise<{ readonly code: number | null; readonly output: string }>
}

/** The real program with the environment that the controller gives the init container. */
function startFetcher(url: string, more: Readonly<Record<string, string>> = {}): Fetcher {
  const child = spawn(process.execPath, [main], {
    env: childEnvironment({
      ATELIER_FETCH_PACKS: '1',
      ATELIER_FETCH_HOLDER: 'pod-a',
      ATELIER_FETCH_ALLOW_HTTP: 'true',
      ATELIER_FETCH_URL_0: url,
      ATELIER_FETCH_DIGEST_0: pack.digest,
      ATELIER_FETCH_CACHE_0: path.join(folder, 'cache'),
      ATELIER_TERMINATION_LOG: path.join(folder, 'log'),
      ...more,
    }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (text: Buffer) => {
    output += text.toString('utf8')
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  closers.push(async () => {
    child.kill('SIGKILL')
    await end
  })
  const end = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }))
  })
  return { process: child, end }
}

function forJob(api: FakeInternalApi): Record<string, string> {
  return {
    ATELIER_JOB_ID: '0'.repeat(26),
    ATELIER_ATTEMPT: '1',
    ATELIER_API_URL: api.url,
    ATELIER_TOKEN_FILE: path.join(folder, 'token'),
  }
}

const isWhole = () => existsSync(path.join(folder, 'cache', pack.digest, '.complete'))

describe('the fetching container', () => {
  test('killed in the middle goes on where it ended, and tells the api how far it is', async () => {
    const [server, api] = [await serve(), await startApi()]
    server.act(file, { kind: 'Stall', bytes: 60_000 })
    const first = startFetcher(server.url, forJob(api))
    await eventually(() => expect((api.progress.at(-1)?.fetch?.bytesDone ?? 0) > 50_000).toBe(true))
    first.process.kill('SIGKILL')
    await first.end
    expect(isWhole()).toBe(false)

    const { code, output } = await startFetcher(server.url, forJob(api)).end

    expect({ code, output }).toMatchObject({ code: exitCodes.completed })
    expect(isWhole()).toBe(true)
    const [, second] = server.requests.filter((request) => request.path === file)
    const [, from] = /^bytes=(\d+)-$/.exec(second?.headers.range ?? '') ?? []
    expect(Number(from)).toBeGreaterThan(50_000)
    expect(api.progress[0]).toMatchObject({ sequence: 1, stage: 'FetchingModel', stepsDone: 0 })
    expect(api.progress.at(-1)?.fetch).toMatchObject({ bytesTotal: 400_010 })
    const remaining = api.progress.map(({ fetch }) => fetch?.secondsRemaining)
    expect(remaining.some((seconds) => typeof seconds === 'number' && seconds > 0)).toBe(true)
    expect(api.reports).toEqual([])
    expect(api.faults).toEqual([])
  })

  test('that cannot have a file reports a failed attempt, and tells kubectl why', async () => {
    const [server, api] = [await serve(), await startApi()]
    server.always(file, { kind: 'Status', status: 404 })
    const { code } = await startFetcher(server.url, forJob(api)).end
    expect(code).toBe(exitCodes.failed)
    const message = `model.fetch_failed: ${file}: the server answered 404`
    expect(api.reports).toMatchObject([
      { attempt: 1, report: { reason: 'Failed', message, outputs: [], stepsDone: 0 } },
    ])
    expect(await readFile(path.join(folder, 'log'), 'utf8')).toBe(message)
  })

  test('of a pool reports to nobody', async () => {
    const server = await serve()
    const limit = { ATELIER_FETCH_LIMIT_BYTES_0: '1000' }
    const { code } = await startFetcher(server.url, limit).end
    expect(code).toBe(exitCodes.failed)
    expect(await readFile(path.join(folder, 'log'), 'utf8')).toContain('model.cache_full: ')
  })

  test('ends soon after SIGTERM, without a report, and leaves what it has', async () => {
    const [server, api] = [await serve(), await startApi()]
    server.act(file, { kind: 'Slow', bytesPerMs: 20 })
    const { process: child, end } = startFetcher(server.url, forJob(api))
    await eventually(() => expect((api.progress.at(-1)?.fetch?.bytesDone ?? 0) > 0).toBe(true))
    child.kill('SIGTERM')
    expect((await end).code).toBe(exitCodes.cancelled)
    expect(api.reports).toEqual([])
  })

  test('names the wrong variable when it is misconfigured', async () => {
    const { code, output } = await startFetcher('not an address').end
    expect(code).toBe(exitCodes.failed)
    expect(output).toContain('ATELIER_FETCH_URL_0: must be an http or https address')
  })
})

function issue() {
  return { nowMs: Date.now(), validDays: 1, serial: randomBytes(16) }
}

describe('https', () => {
  test('needs a certificate that is trusted, and is not left for http', async () => {
    const authority = await newAuthority({ commonName: 'test' }, issue())
    const request = { subject: { commonName: 'models' }, use: 'Server', addresses: ['127.0.0.1'] }
    const made = await issueCertificate(authority, { ...request, use: 'Server' }, issue())
    const tls = { cert: made.certificatePem, key: made.keyPem }
    const [server, second, plain] = [await serve(tls), await serve(tls), await serve()]
    await writeFile(path.join(folder, 'ca.pem'), authority.certificatePem)
    const trusting = {
      NODE_EXTRA_CA_CERTS: path.join(folder, 'ca.pem'),
      ATELIER_FETCH_ALLOW_HTTP: 'false',
    }
    const location = (to: PackServer) => {
      return { kind: 'Status', status: 307, headers: { location: `${to.url}/${file}` } } as const
    }
    server.act(file, location(plain))
    const refused = await startFetcher(server.url, trusting).end
    expect(refused.code).toBe(exitCodes.failed)
    expect(await readFile(path.join(folder, 'log'), 'utf8')).toContain('only https is permitted')
    expect(plain.requests).toEqual([])

    server.act(file, location(second))
    const done = await startFetcher(server.url, trusting).end
    expect({ ...done, isWhole: isWhole() }).toMatchObject({ code: 0, isWhole: true })
    expect(second.requests).toHaveLength(1)
  })
})
