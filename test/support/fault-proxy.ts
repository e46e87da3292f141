import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { readKubeconfig } from '../../src/platform/kube/kubeconfig.ts'

/**
 * An HTTP proxy in front of a real API server that can misbehave on request. It speaks plain
 * HTTP to the client under test and forwards with the credentials of the given kubeconfig.
 */
export type FaultProxy = {
  /** Leads a client through the proxy. */
  readonly kubeconfigPath: string
  /** Every request so far, in order, faulty or not. */
  readonly requests: readonly SeenRequest[]
  readonly count: (verb: Verb) => number
  /** Lets the next `times` requests of this verb meet the fault; later rules wait their turn. */
  readonly inject: (rule: Rule) => void
  readonly clearFaults: () => void
  /** Resets every connection at once. */
  readonly cutConnections: () => void
  /** Sends the 410 ERROR event into every open watch. */
  readonly expireWatches: () => void
  /** As an API server does with who takes its news too slowly: ends every open watch, in order. */
  readonly endWatches: () => void
  /** Open watches stay open but nothing comes through them any more. */
  readonly freezeWatches: () => void
  /** What becomes of each line of a watch from now on; undefined: nothing comes of it. */
  readonly alterEvents: (alter: AlterEvent) => void
  /**
   * As an API server that lags behind: watches of addresses that contain this stay silent until
   * `catchUp`, which then brings everything; with a version, lists are answered as of it as well.
   */
  readonly stayAt: (past: Past) => void
  readonly catchUp: () => void
  /** Nothing listens any more. */
  readonly goDown: () => Promise<void>
  readonly comeBack: () => Promise<void>
  readonly openWatches: () => number
  readonly close: () => Promise<void>
}

export type Verb = 'list' | 'watch' | 'other'

export type Past = { readonly containing: string; readonly resourceVersion?: string }

export type AlterEvent = (line: string, url: string) => string | undefined

export type Fault =
  | { readonly kind: 'Status'; readonly status: number; readonly retryAfterSeconds?: number }
  | { readonly kind: 'Reset' }
  | { readonly kind: 'Hang' }
  /** Reaches the API server only when this has ended. */
  | { readonly kind: 'Delay'; readonly until: () => Promise<unknown> }
  /** It is done, but the answer never comes. */
  | { readonly kind: 'Unanswered' }
  /** 200, then the end of the stream. */
  | { readonly kind: 'EmptyStream' }
  /** 200, then these lines, then the end. */
  | { readonly kind: 'Lines'; readonly lines: readonly string[] }

export type Rule = {
  readonly verb: Verb
  readonly fault: Fault
  /** 1 unless told otherwise; Infinity until clearFaults. */
  readonly times?: number
  /** Only requests whose address contains this. */
  readonly containing?: string
  /** Only requests of this method. */
  readonly method?: string
}

export type SeenRequest = {
  readonly verb: Verb
  readonly method: string
  readonly url: string
  readonly atMs: number
  readonly fault?: Fault
  /** Once the API server has answered. */
  status?: number
}

export const expiredEvent = JSON.stringify({
  type: 'ERROR',
  object: {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'too old resource version: 1 (2)',
    reason: 'Expired',
    code: 410,
  },
})

export async function startFaultProxy(kubeconfigPath: string): Promise<FaultProxy> {
  const proxy = new FaultInjector(kubeconfigPath)
  await proxy.open()
  return proxy
}

type Watch = { readonly response: ServerResponse; frozen: boolean; withheld: string }

class FaultInjector implements FaultProxy {
  kubeconfigPath = ''
  readonly requests: SeenRequest[] = []
  readonly #access
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #watches = new Set<Watch>()
  #alter: AlterEvent = (line) => line
  #past: Past | undefined
  #rules: { rule: Rule; left: number }[] = []
  #folder = ''
  #port = 0

  constructor(kubeconfigPath: string) {
    this.#access = readKubeconfig(kubeconfigPath)
    this.#server = createServer((request, response) => this.#serve(request, response))
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  async open(): Promise<void> {
    await this.comeBack()
    this.#folder = await mkdtemp(path.join(tmpdir(), 'atelier-proxy-'))
    this.kubeconfigPath = path.join(this.#folder, 'kubeconfig')
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'p', cluster: { server: `http://127.0.0.1:${this.#port}` } }],
      users: [{ name: 'p', user: {} }],
      contexts: [{ name: 'p', context: { cluster: 'p', user: 'p' } }],
      'current-context': 'p',
    }
    await writeFile(this.kubeconfigPath, JSON.stringify(config))
  }

  count = (verb: Verb): number => this.requests.filter((seen) => seen.verb === verb).length

  inject = (rule: Rule): void => {
    this.#rules.push({ rule, left: rule.times ?? 1 })
  }

  clearFaults = (): void => {
    this.#rules = []
  }

  cutConnections = (): void => {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  expireWatches = (): void => {
    for (const { response } of this.#watches) response.end(`${expiredEvent}\n`)
  }

  endWatches = (): void => {
    for (const { response } of this.#watches) response.end()
  }

  freezeWatches = (): void => {
    for (const watch of this.#watches) watch.frozen = true
  }

  alterEvents = (alter: AlterEvent): void => {
    this.#alter = alter
  }

  stayAt = (past: Past): void => {
    this.#past = past
  }

  catchUp = (): void => {
    this.#past = undefined
    for (const watch of this.#watches) {
      watch.response.write(watch.withheld)
      watch.withheld = ''
    }
  }

  openWatches = (): number => this.#watches.size

  goDown = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.cutConnections()
    await closed
  }

  comeBack = async (): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ host: '127.0.0.1', port: this.#port }, resolve)
    })
    const address = this.#server.address()
    if (address !== null && typeof address === 'object') this.#port = address.port
  }

  close = async (): Promise<void> => {
    if (this.#server.listening) await this.goDown()
    await rm(this.#folder, { recursive: true, force: true })
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { url = '/', method = 'GET' } = request
    const asked = { verb: verbOf(method, url), method, url, atMs: Date.now() }
    const fault = this.#takeFault(asked)
    const seen: SeenRequest = fault === undefined ? asked : { ...asked, fault }
    this.requests.push(seen)
    if (fault === undefined || fault.kind === 'Unanswered') this.#forward(request, response, seen)
    else if (fault.kind !== 'Delay') misbehave(request, response, fault)
    else {
      const forward = () => this.#forward(request, response, seen)
      fault.until().then(forward, () => response.destroy())
    }
  }

  #takeFault({ verb, method, url }: SeenRequest): Fault | undefined {
    const entry = this.#rules.find(
      ({ rule, left }) =>
        left > 0 &&
        rule.verb === verb &&
        url.includes(rule.containing ?? '') &&
        (rule.method ?? method) === method,
    )
    if (entry === undefined) return undefined
    entry.left -= 1
    return entry.rule.fault
  }

  #forward(request: IncomingMessage, response: ServerResponse, seen: SeenRequest): void {
    const { server, authority, certificate, key, token } = this.#access
    const target = new URL(server)
    const secure = target.protocol === 'https:'
    const { host: _, connection: __, ...headers } = request.headers
    const upstream = (secure ? httpsRequest : httpRequest)({
      hostname: target.hostname,
      port: target.port,
      path: this.#isPast(seen.url) ? pathInPast(seen, this.#past) : seen.url,
      method: request.method,
      headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      agent: false,
      ...(secure ? { ca: authority, cert: certificate, key } : {}),
    })
    upstream.on('response', (answer) => {
      seen.status = answer.statusCode ?? 502
      if (seen.fault?.kind === 'Unanswered') {
        answer.resume()
        return
      }
      response.writeHead(seen.status, answer.headers)
      response.flushHeaders()
      if (seen.verb === 'watch') this.#forwardLines(answer, response, seen.url)
      else answer.pipe(response)
    })
    upstream.on('error', () => response.destroy())
    response.on('close', () => upstream.destroy())
    request.pipe(upstream)
  }

  /** Whole lines only, so that an injected event never lands inside another one. */
  #forwardLines(answer: IncomingMessage, response: ServerResponse, url: string): void {
    const watch: Watch = { response, frozen: false, withheld: '' }
    this.#watches.add(watch)
    let rest = Buffer.alloc(0)
    answer.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      const end = rest.lastIndexOf(10) + 1
      const lines = this.#altered(rest.subarray(0, end), url)
      if (this.#isPast(url)) watch.withheld += lines
      else if (!watch.frozen && !response.writableEnded) response.write(lines)
      rest = rest.subarray(end)
    })
    answer.on('end', () => {
      if (!watch.frozen) response.end()
    })
    answer.on('error', () => response.destroy())
    response.on('close', () => this.#watches.delete(watch))
  }

  #isPast(url: string): boolean {
    return this.#past !== undefined && url.includes(this.#past.containing)
  }

  #altered(lines: Buffer, url: string): string {
    const altered = lines.toString('utf8').split('\n').slice(0, -1)
    return altered
      .flatMap((line) => this.#alter(line, url) ?? [])
      .map((line) => `${line}\n`)
      .join('')
  }
}

function verbOf(method: string, url: string): Verb {
  if (method !== 'GET') return 'other'
  const { pathname, searchParams } = new URL(url, 'http://proxy')
  if (searchParams.get('watch') === 'true') return 'watch'
  return pathname.endsWith('s') ? 'list' : 'other'
}

/** The API server itself knows what there was: `Exact` is answered from the history in etcd. */
function pathInPast({ verb, url }: SeenRequest, past: Past | undefined): string {
  const target = new URL(url, 'http://proxy')
  const resourceVersion = past?.resourceVersion
  const isPage = target.searchParams.has('continue')
  if (verb !== 'list' || resourceVersion === undefined || isPage) return url
  target.searchParams.set('resourceVersion', resourceVersion)
  target.searchParams.set('resourceVersionMatch', 'Exact')
  return target.pathname + target.search
}

type Misbehaviour = Exclude<Fault, { kind: 'Delay' | 'Unanswered' }>

function misbehave(request: IncomingMessage, response: ServerResponse, fault: Misbehaviour): void {
  switch (fault.kind) {
    case 'Hang':
      return
    case 'Reset':
      request.socket.resetAndDestroy()
      return
    case 'EmptyStream':
      response.writeHead(200, { 'content-type': 'application/json' }).end()
      return
    case 'Lines':
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(fault.lines.map((line) => `${line}\n`).join(''))
      return
    case 'Status':
      response.writeHead(fault.status, {
        'content-type': 'application/json',
        ...(fault.retryAfterSeconds === undefined
          ? {}
          : { 'retry-after': String(fault.retryAfterSeconds) }),
      })
      response.end(
        JSON.stringify({ kind: 'Status', status: 'Failure', code: fault.status, message: 'fault' }),
      )
  }
}
