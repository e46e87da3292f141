import { createHash } from 'node:crypto'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** What the server does with one request instead of serving the file. */
export type Act =
  | Truncate
  /** Says nothing more after so many bytes of the body; -1: not even the headers. */
  | { readonly kind: 'Stall'; readonly bytes: number }
  /** The last bytes come only when `until` has resolved. */
  | { readonly kind: 'Slow'; readonly bytesPerMs: number; readonly until?: Promise<void> }
  | { readonly kind: 'Status'; readonly status: number; readonly headers?: Headers }
  | Serve
  | { readonly kind: 'IgnoreRange' }
  /** Answers 206 with another part than the wanted one. */
  | { readonly kind: 'WrongPart' }
type Headers = Readonly<Record<string, string>>
/** Breaks the connection after so many bytes of the body. */
type Truncate = {
  readonly kind: 'Truncate'
  readonly bytes: number
  /** What has arrived but was not read yet is lost when the connection breaks. */
  readonly untilRead?: () => Promise<unknown>
}
/** Serves the file, with these headers and perhaps another content. */
type Serve = {
  readonly kind: 'Serve'
  readonly headers?: Headers
  readonly body?: Buffer
  /** Without its length. */
  readonly unmeasured?: boolean
}

export type SeenRequest = {
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

/** Serves files with ETag and ranges as object stores do, and misbehaves when it is told to. */
export type PackServer = {
  readonly url: string
  readonly files: Map<string, Buffer>
  readonly requests: SeenRequest[]
  /** For the next requests of the path, one act each. */
  readonly act: (path: string, ...acts: readonly Act[]) => void
  /** For every request of the path that has no act of its own. */
  readonly always: (path: string, act: Act) => void
  readonly close: () => Promise<void>
}

export async function startPackServer(
  files: ReadonlyMap<string, Buffer>,
  tls?: { readonly cert: string; readonly key: string },
): Promise<PackServer> {
  const state = {
    files: new Map(files),
    requests: new Array<SeenRequest>(),
    acts: new Map<string, Act[]>(),
    always: new Map<string, Act>(),
  }
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    // A client that goes away in the middle is what many tests are about.
    answer(state, request, response).catch(() => response.destroy())
  }
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    files: state.files,
    requests: state.requests,
    act: (path, ...acts) => {
      state.acts.set(path, [...(state.acts.get(path) ?? []), ...acts])
    },
    always: (path, act) => {
      state.always.set(path, act)
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type State = {
  readonly files: ReadonlyMap<string, Buffer>
  readonly requests: SeenRequest[]
  readonly acts: ReadonlyMap<string, Act[]>
  readonly always: ReadonlyMap<string, Act>
}

async function answer(
  state: State,
  { url = '/', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = decodeURIComponent(url.slice(1))
  state.requests.push({ path, headers })
  const act = actOf(state, path)
  if (act.kind === 'Status') {
    response.writeHead(act.status, act.headers).end()
    return
  }
  if (act.kind === 'Stall' && act.bytes < 0) return
  const { body = state.files.get(path), unmeasured } = act.kind === 'Serve' ? act : {}
  if (body === undefined) {
    response.writeHead(404).end()
    return
  }
  const part = rangeOf(headers, body, act)
  if (unmeasured === true) response.writeHead(200).end(body)
  else await send(response, act, part)
}

function actOf({ acts, always }: State, path: string): Act {
  return acts.get(path)?.shift() ?? always.get(path) ?? { kind: 'Serve' }
}

type Part = { readonly status: number; readonly headers: Headers; readonly body: Buffer }

function rangeOf(headers: IncomingHttpHeaders, whole: Buffer, act: Act): Part {
  const etag = `"${createHash('sha256').update(whole).digest('hex').slice(0, 16)}"`
  const [, first] = /^bytes=(\d+)-$/.exec(headers.range ?? '') ?? []
  const isSame = [undefined, etag].includes(headers['if-range'] as string | undefined)
  const more = act.kind === 'Serve' ? act.headers : {}
  if (first === undefined || !isSame || act.kind === 'IgnoreRange') {
    const all = { etag, 'content-length': String(whole.length), 'accept-ranges': 'bytes', ...more }
    return { status: 200, headers: all, body: whole }
  }
  const from = act.kind === 'WrongPart' ? Number(first) + 1 : Number(first)
  if (from >= whole.length) {
    const range = { 'content-range': `bytes */${whole.length}` }
    return { status: 416, headers: range, body: Buffer.alloc(0) }
  }
  const body = whole.subarray(from)
  const range = `bytes ${from}-${whole.length - 1}/${whole.length}`
  const partial = { etag, 'content-length': String(body.length), 'content-range': range, ...more }
  return { status: 206, headers: partial, body }
}

async function send(response: ServerResponse, act: Act, part: Part): Promise<void> {
  response.writeHead(part.status, part.headers)
  if (act.kind === 'Slow') {
    const step = act.bytesPerMs * 10
    for (let from = 0; from < part.body.length; from += step) {
      if (from + step >= part.body.length) await act.until
      if (response.destroyed) return
      response.write(part.body.subarray(from, from + step))
      await sleep(10)
    }
    response.end()
    return
  }
  if (act.kind !== 'Truncate' && act.kind !== 'Stall') {
    response.end(part.body)
    return
  }
  await new Promise((resolve) => {
    response.write(part.body.subarray(0, act.bytes), resolve)
  })
  if (act.kind === 'Stall') return
  await act.untilRead?.()
  response.destroy()
}
