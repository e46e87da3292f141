import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { signatureFault } from '../../../src/platform/http/request-signature.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
import {
  type Assigned,
  assigned,
  assignment,
  poolPodState,
  poolPort,
  type PoolRefusal,
} from '../../../src/shared/wire/pool.ts'
import type { FakeInternalApi } from './fake-internal-api.ts'

/** What becomes of a job in a slot. */
export type RunBehaviour = {
  /** It ends by itself with this; without it, it runs until it is cancelled. */
  readonly report?: Report
  /** What it reports when it is cancelled; without it, nothing. */
  readonly stopReport?: Report
  readonly runMs?: number
  /** It ends no sooner. */
  readonly until?: Promise<void>
}

export type FakePoolPodOptions = {
  readonly client: KubeClient
  readonly api: FakeInternalApi
  readonly namespace: string
  readonly uid: string
  readonly name: string
  readonly slots: number
  readonly key: Uint8Array
  readonly behaviourOf: (job: string) => RunBehaviour
}

type Run = {
  readonly attempt: number
  answer: Assigned
  readonly ended: PromiseWithResolvers<void>
}
type Reply = { readonly status: number; readonly body?: unknown }
type Asked = { readonly uid: string; readonly query: URLSearchParams; readonly body: string }

const unknown: Reply = { status: 404, body: { code: 'job.not_found' } }

/** One pool pod as the controller knows it: the whole protocol, and no inference behind it. */
export class FakePoolPod {
  /** Attempts that were begun, such as `job/1`, in order. */
  readonly begun: string[] = []
  /** Requests so far, such as `PUT`. */
  readonly requests: string[] = []
  /** What must never happen. */
  readonly violations: string[] = []
  /** Answers to PUTs that come next, instead of taking the job. */
  readonly refusals: PoolRefusal[] = []
  readonly #options: FakePoolPodOptions
  readonly #runs = new Map<string, Run>()
  /** Greatest attempt of each job that was to end: a PUT that comes after that is too late. */
  readonly #deleted = new Map<string, number>()
  readonly #server: Server
  #runner = newRunner()

  constructor(options: FakePoolPodOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error))
      })
    })
  }

  get uid(): string {
    return this.#options.uid
  }

  get name(): string {
    return this.#options.name
  }

  /** Attempts that have a slot now, such as `<uid>/1`. */
  running(): readonly string[] {
    return [...this.#runs]
      .filter(([, { answer }]) => answer.state === 'Running')
      .map(([uid, { attempt }]) => `${uid}/${attempt}`)
  }

  async listen(ip: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(poolPort, ip, resolve)
    })
  }

  /** The container is started again: nobody knows the jobs of before. */
  restart(): void {
    this.#runner = newRunner()
    this.#runs.clear()
    this.#server.closeAllConnections()
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const body = await readBody(request)
    const signed = { method, path: url, body, headers }
    if (signatureFault(signed, this.#options.key, { nowMs: Date.now() }) !== undefined) {
      return void response.writeHead(401).end()
    }
    this.requests.push(method)
    const { pathname, searchParams: query } = new URL(url, 'http://pod')
    const [, uid = ''] = /^\/v1\/jobs\/([^/]+)$/.exec(pathname) ?? []
    const reply = await this.#answer(method, { uid, query, body })
    const content = reply.body === undefined ? undefined : JSON.stringify(reply.body)
    response.writeHead(reply.status, { 'content-type': 'application/json' }).end(content)
  }

  async #answer(method: string, asked: Asked): Promise<Reply> {
    if (asked.uid === '') return { status: 200, body: this.#state() }
    if (method === 'PUT') return await this.#assign(asked)
    if (method === 'GET') return await this.#wait(asked)
    return this.#cancel(asked)
  }

  #state() {
    const busy = [...this.#runs].filter(([, { answer }]) => answer.state === 'Running')
    const slots = Array.from({ length: this.#options.slots }, (_, index) => {
      const [uid, run] = busy[index] ?? []
      const job = uid === undefined || run === undefined ? null : { uid, attempt: run.attempt }
      return { model: null, state: job === null ? 'Idle' : 'Busy', job }
    })
    return poolPodState.parse({ runner: this.#runner, draining: false, slots })
  }

  async #assign({ uid, body }: Asked): Promise<Reply> {
    const { attempt, jobId, runner } = assignment.parse(JSON.parse(body))
    if (runner !== this.#runner) return refused('pool.runner_changed')
    const known = this.#runs.get(uid)
    if (known?.attempt === attempt) return { status: 200, body: known.answer }
    const newest = Math.max(known?.attempt ?? 0, (this.#deleted.get(uid) ?? 0) + 1)
    if (newest > attempt) return refused('pool.attempt_outdated')
    const refusal = this.refusals.shift()
    if (refusal !== undefined) return refused(refusal)
    if (this.#busySlots() >= this.#options.slots) return refused('pool.busy')
    const run: Run = {
      attempt,
      answer: assigned.parse({ attempt, state: 'Running' }),
      ended: Promise.withResolvers(),
    }
    this.#runs.set(uid, run)
    await this.#begin({ uid, jobId, run })
    return { status: 200, body: run.answer }
  }

  async #wait({ uid, query }: Asked): Promise<Reply> {
    const run = this.#runs.get(uid)
    if (run?.attempt !== Number(query.get('attempt'))) return unknown
    const waitMs = Number(query.get('waitSeconds')) * 1000
    const pause = new Promise((resolve) => {
      setTimeout(resolve, waitMs).unref()
    })
    await Promise.race([run.ended.promise, pause])
    return { status: 200, body: run.answer }
  }

  #cancel({ uid, query }: Asked): Reply {
    const attempt = Number(query.get('attempt'))
    const run = this.#runs.get(uid)
    this.#deleted.set(uid, Math.max(attempt, this.#deleted.get(uid) ?? 0))
    if (run === undefined || run.attempt > attempt) return { status: 204 }
    if (run.answer.state === 'Ended') this.#runs.delete(uid)
    else void this.#cancelRun(uid, run).catch((error: unknown) => this.#complain(String(error)))
    return { status: 204 }
  }

  async #cancelRun(uid: string, run: Run): Promise<void> {
    const job = await this.#jobOf(uid)
    const { stopReport } = this.#options.behaviourOf(job?.metadata.name ?? '')
    this.#end(run, { jobId: job?.spec.jobId ?? uid, report: stopReport })
  }

  /** As a real pod would ask the api for its work: that goes well only when the status names it. */
  async #begin({ uid, jobId, run }: { uid: string; jobId: string; run: Run }): Promise<void> {
    const job = await this.#jobOf(uid)
    const name = job?.metadata.name ?? uid
    if (!this.#isNamedBy(job, run.attempt)) {
      this.#complain(`${name}/${run.attempt} was given before its status said so`)
    }
    if (this.#busySlots() > this.#options.slots) this.#complain(`${name}: a slot was given twice`)
    this.begun.push(`${name}/${run.attempt}`)
    const { report, runMs = 30, until } = this.#options.behaviourOf(name)
    if (report === undefined) return
    const end = () => this.#end(run, { jobId, report })
    setTimeout(() => void (until === undefined ? end() : until.then(end)), runMs).unref()
  }

  #isNamedBy(job: GenerationJob | undefined, attempt: number): boolean {
    const { podUID, number, runner } = job?.status?.attempt ?? {}
    return podUID === this.uid && number === attempt && runner === this.#runner
  }

  #end(run: Run, { jobId, report }: { jobId: string; report: Report | undefined }): void {
    if (run.answer.state === 'Ended') return
    if (report !== undefined) this.#options.api.setReport(jobId, run.attempt, report)
    run.answer = { attempt: run.attempt, state: 'Ended', reason: report?.reason ?? 'Cancelled' }
    run.ended.resolve()
  }

  #busySlots(): number {
    return [...this.#runs.values()].filter(({ answer }) => answer.state === 'Running').length
  }

  #complain(violation: string): void {
    this.violations.push(violation)
  }

  async #jobOf(uid: string): Promise<GenerationJob | undefined> {
    const { client, namespace } = this.#options
    const all = await listObjects(client, generationJobs, { namespace })
    return all.find(({ metadata }) => metadata.uid === uid)
  }
}

function refused(code: PoolRefusal): Reply {
  return { status: 409, body: { code } }
}

function newRunner(): string {
  return randomBytes(8).toString('hex')
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}
