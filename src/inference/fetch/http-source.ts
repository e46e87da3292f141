import type { Clock } from '../../shared/clock.ts'
import { type Credentials, withCredentials } from './credentials.ts'
import { FetchFault, reasonOf } from './fetch-fault.ts'
import { REDIRECTS_MAX } from './limits.ts'

export type SourceOptions = {
  /** Folder of the pack on the server. */
  readonly url: string
  readonly credentials: Credentials
  readonly allowHttp: boolean
  readonly stallMs: number
  readonly clock: Clock
}

/** The files of one pack on its server. */
export type PackSource = {
  readonly url: string
  /**
   * Asks for a file below the folder. Redirects are followed, credentials go to the first server
   * only.
   * @throws FetchFault when there is no answer that could be the file.
   */
  readonly get: (file: string, ask: SourceRequest) => Promise<SourceAnswer>
}

export type SourceRequest = {
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

export type SourceAnswer = {
  /** 200, 206 or 416. */
  readonly status: number
  readonly headers: Headers
  /** Ends with a FetchFault when nothing comes for too long. Whoever does not want it cancels. */
  readonly pieces: AsyncGenerator<Uint8Array, void, undefined>
  readonly cancel: () => Promise<void>
}

const redirects = [301, 302, 303, 307, 308]
const answers = [200, 206, 416]

export function openSource(options: SourceOptions): PackSource {
  const base = new URL(`${options.url}/`)
  return {
    url: options.url,
    get: async (file, ask) => {
      let url = new URL(file, base)
      for (let hops = 0; hops <= REDIRECTS_MAX; hops += 1) {
        const isFirstServer = url.origin === base.origin
        const stall = startStall(options.stallMs, ask.signal)
        const response = await request(url, { ask, stall, isFirstServer, options })
        const location = redirects.includes(response.status) && response.headers.get('location')
        if (typeof location !== 'string') return await answerOf(response, stall)
        stall.end()
        await response.body?.cancel()
        url = new URL(location, url)
      }
      throw new FetchFault(`was redirected more than ${REDIRECTS_MAX} times`, { transient: false })
    },
  }
}

type Asking = {
  readonly ask: SourceRequest
  readonly stall: Stall
  readonly isFirstServer: boolean
  readonly options: SourceOptions
}

async function request(
  url: URL,
  { ask, stall, isFirstServer, options }: Asking,
): Promise<Response> {
  requirePermitted(url, options)
  const { credentials, clock } = options
  const asked = { ...ask.headers, 'accept-encoding': 'identity' }
  const headers = isFirstServer
    ? withCredentials(credentials, { url, headers: asked, nowMs: clock.nowMs() })
    : asked
  try {
    // Followed here: an address may be one that is not permitted, and must not get credentials.
    return await fetch(url, { headers, redirect: 'manual', signal: stall.signal })
  } catch (error) {
    stall.end()
    throw connectionFault(error, ask.signal)
  }
}

/** https, and in tests http to this machine. */
function requirePermitted(url: URL, { allowHttp }: SourceOptions): void {
  const isHere = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname)
  const permitted = url.protocol === 'https:' || (url.protocol === 'http:' && allowHttp && isHere)
  if (permitted && url.username === '' && url.password === '') return
  const address = `${url.protocol}//${url.host}`
  const problem = `leads to ${address}: only https is permitted, without passwords`
  throw new FetchFault(problem, { transient: false })
}

async function answerOf(response: Response, stall: Stall): Promise<SourceAnswer> {
  const { status, headers, body } = response
  const cancel = async () => {
    stall.end()
    await body?.cancel()
  }
  if (answers.includes(status)) return { status, headers, pieces: piecesOf(body, stall), cancel }
  await cancel()
  throw statusFault(status, headers)
}

async function* piecesOf(
  body: Response['body'],
  stall: Stall,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of body ?? []) {
      stall.refresh()
      yield piece
    }
  } catch (error) {
    throw connectionFault(error, stall.outer)
  } finally {
    stall.end()
  }
}

function statusFault(status: number, headers: Headers): FetchFault {
  if (status === 401 || status === 403) {
    const secret = 'the Secret of spec.delivery.fetch.secretRef'
    const problem = `the server answered ${status}: it wants the right keys, from ${secret}`
    return new FetchFault(problem, { transient: false })
  }
  const transient = status === 408 || status === 429 || status >= 500
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isFinite(seconds) ? seconds * 1000 : undefined
  return new FetchFault(`the server answered ${status}`, {
    transient,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  })
}

/** A stop from outside stays what it is. */
function connectionFault(error: unknown, outer: AbortSignal): unknown {
  if (outer.aborted) return outer.reason
  return new FetchFault(`the connection failed: ${reasonOf(error)}`, {
    transient: true,
    cause: error,
  })
}

type Stall = {
  readonly signal: AbortSignal
  readonly outer: AbortSignal
  readonly refresh: () => void
  readonly end: () => void
}

/** Aborts when nothing happens for too long. */
function startStall(stallMs: number, outer: AbortSignal): Stall {
  const silence = new AbortController()
  const timer = setTimeout(() => {
    silence.abort(new Error(`nothing came for ${stallMs / 1000} s`))
  }, stallMs)
  return {
    signal: AbortSignal.any([outer, silence.signal]),
    outer,
    refresh: () => timer.refresh(),
    end: () => clearTimeout(timer),
  }
}
