import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { assert } from '../../../src/shared/assert.ts'
import {
  internalPrefix,
  progress,
  report,
  uploadsRequest,
} from '../../../src/shared/wire/internal.ts'
import type { Progress, Report, UploadsRequest, Work } from '../../../src/shared/wire/internal.ts'
import { problemOf } from '../../../src/shared/wire/problem.ts'
import type { ErrorCode } from '../../../src/shared/errors.ts'

export type FakeOptions = {
  readonly work: Work
  /** Of the jobs of a pool pod, in place of the one job of a pod of its own. */
  readonly workOf?: (jobId: string) => Work | undefined
  readonly token: string
  /** How many calls for work are answered 409 attempt.not_current before the pod is known. */
  readonly notCurrent?: number
  /** Calls of an attempt that is not the current one any more. */
  readonly isFenced?: (call: Call) => boolean
  /** What the answer to a call waits for. */
  readonly answersAfter?: (call: Call) => Promise<void> | undefined
  /** An input was deleted after the job was accepted. */
  readonly isInputGone?: boolean
  /** How many uploads fail with 503 before one succeeds. */
  readonly failedUploads?: number
  /** Inputs by their name: announced as `/inputs/<name>`, with their digest, after those of work. */
  readonly inputs?: readonly FakeInput[]
}

export type FakeInput = {
  readonly role: 'Image' | 'Mask'
  readonly name: string
  readonly bytes: Uint8Array
  /** What the api says instead of the truth. */
  readonly announced?: { readonly sha256?: string; readonly sizeBytes?: number }
}

export type StoredObject = {
  readonly jobId: string
  readonly name: string
  readonly bytes: Buffer
}

export type TakenReport = {
  readonly jobId: string
  readonly attempt: number
  readonly body: string
  readonly report: Report
}

export type FakeInternalApi = {
  readonly url: string
  readonly workCalls: () => number
  readonly progress: readonly Progress[]
  readonly reports: readonly TakenReport[]
  readonly objects: readonly StoredObject[]
  /** Requests that broke the contract. */
  readonly faults: readonly string[]
  readonly close: () => Promise<void>
}

type Call = { readonly jobId: string; readonly attempt: number; readonly path: string }

function readCall(path: string): Call | undefined {
  const [, jobId, attempt, rest] = callPath.exec(path) ?? []
  return rest === undefined ? undefined : { jobId, attempt: Number(attempt), path: rest }
}

const callPath = new RegExp(`^${internalPrefix}/jobs/([^/]+)/attempts/([0-9]+)/([a-z]+)$`)

type Announced = UploadsRequest['outputs'][number]
type Answer = {
  readonly status: number
  readonly body?: unknown
  readonly bytes?: Uint8Array
}

/**
 * The pod's side of the internal contract, behind a real HTTP server. It stands in for the api
 * because the real one needs a database, a Redis and a cluster that knows the pod, and because
 * only a stand-in can refuse and fail on demand. It checks each request with the shared schemas.
 */
export async function startFakeInternalApi(options: FakeOptions): Promise<FakeInternalApi> {
  const { notCurrent = 0, isFenced = () => false, answersAfter = async () => {} } = options
  const state = {
    workCalls: 0,
    failedUploads: options.failedUploads ?? 0,
    announced: new Map<string, Announced>(),
    progress: [] as Progress[],
    reports: [] as TakenReport[],
    objects: [] as StoredObject[],
    faults: [] as string[],
  }

  function answerCall(call: Call, body: string, url: string): Answer {
    const { jobId, attempt } = call
    const work = workOf(call)
    if (work === undefined) return problem('request.not_found')
    switch (call.path) {
      case 'work':
        state.workCalls += 1
        if (state.workCalls <= notCurrent) return problem('attempt.not_current')
        if (options.isInputGone === true) return problem('object.not_found')
        return { status: 200, body: withInputs({ ...options, work }, url) }
      case 'uploads':
        return announce(uploadsRequest.parse(JSON.parse(body)), { jobId, url })
      case 'progress':
        state.progress.push(progress.parse(JSON.parse(body)))
        return { status: 204 }
      case 'report':
        state.reports.push({ jobId, attempt, body, report: report.parse(JSON.parse(body)) })
        return { status: 204 }
      default:
        return problem('request.not_found')
    }
  }

  function workOf({ jobId, attempt }: Call): Work | undefined {
    if (options.workOf !== undefined) return options.workOf(jobId)
    return jobId === '0'.repeat(26) && attempt === 1 ? options.work : undefined
  }

  function announce(
    request: UploadsRequest,
    { jobId, url }: { readonly jobId: string; readonly url: string },
  ): Answer {
    for (const output of request.outputs) state.announced.set(`${jobId}/${output.name}`, output)
    const uploads = request.outputs.map(({ name }) => ({
      name,
      key: `artifacts/job/1/${name}`,
      url: `${url}/objects/${jobId}/${name}?signature=good`,
      expiresTime: new Date(Date.now() + 60_000).toISOString(),
    }))
    return { status: 200, body: { uploads } }
  }

  function store(key: string, request: IncomingMessage, bytes: Buffer): Answer {
    if (state.failedUploads > 0) {
      state.failedUploads -= 1
      return problem('platform.unavailable')
    }
    const wanted = state.announced.get(key)
    const digest = createHash('sha256').update(bytes).digest('hex')
    const fits =
      wanted?.sha256 === digest &&
      wanted.sizeBytes === bytes.length &&
      wanted.contentType === request.headers['content-type']
    if (!fits) return problem('object.mismatch')
    const [jobId = '', name = ''] = key.split('/')
    state.objects.push({ jobId, name, bytes })
    return { status: 200 }
  }

  async function answer(request: IncomingMessage, bytes: Buffer): Promise<Answer> {
    const url = new URL(request.url ?? '/', `http://${request.headers.host}`)
    const input = options.inputs?.find(({ name }) => url.pathname === `/inputs/${name}`)
    if (input !== undefined) return { status: 200, bytes: input.bytes }
    const object = /^\/objects\/([^/]+\/[^/]+)$/.exec(url.pathname)?.[1]
    if (object !== undefined && request.method === 'PUT') return store(object, request, bytes)
    if (request.headers.authorization !== `Bearer ${options.token}`) {
      return problem('auth.invalid_token')
    }
    const call = readCall(url.pathname)
    if (call === undefined) return problem('request.not_found')
    if (isFenced(call)) return problem('attempt.not_current')
    await answersAfter(call)
    return answerCall(call, bytes.toString('utf8'), url.origin)
  }

  const server = createServer((request, response) => {
    readBody(request)
      .then(async (bytes) => send(response, await answer(request, bytes)))
      .catch((error: unknown) => {
        state.faults.push(`${request.method} ${request.url}: ${String(error)}`)
        send(response, problem('request.invalid'))
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert(typeof address === 'object' && address !== null, 'a TCP server has an address')
  return {
    workCalls: () => state.workCalls,
    progress: state.progress,
    reports: state.reports,
    objects: state.objects,
    faults: state.faults,
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

function problem(code: ErrorCode): Answer {
  const known = problemOf(code)
  return { status: known.status, body: { ...known, detail: 'as the test wants', instance: 'test' } }
}

function withInputs({ work, inputs = [] }: FakeOptions, origin: string): Work {
  const linked = inputs.map(({ role, name, bytes, announced }) => ({
    role,
    url: `${origin}/inputs/${name}`,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.length,
    ...announced,
  }))
  return { ...work, inputs: [...work.inputs, ...linked] }
}

function send(response: ServerResponse, { status, body, bytes }: Answer): void {
  if (bytes !== undefined) return void response.writeHead(status).end(bytes)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(body === undefined ? '' : JSON.stringify(body))
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
