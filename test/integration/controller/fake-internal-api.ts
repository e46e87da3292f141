import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  type AttemptReport,
  attemptReport,
  type Hold,
  hold,
  holdRequest,
  type Report,
  type Settlement,
  settlement,
} from '../../../src/shared/wire/internal.ts'

/**
 * Stands in for the api's internal port, because these tests decide what the api says and when it
 * is down. Requests and answers pass through the contract's schemas; the real api is exercised
 * together with the controller by the end-to-end tests.
 */
export type FakeInternalApi = {
  readonly url: string
  /** The only bearer token it accepts. */
  readonly token: string
  /** What it answers about holds; by default every job is held. */
  readonly setHold: (jobId: string, answer: Hold) => void
  readonly setReport: (jobId: string, attempt: number, report: Report | null) => void
  readonly setSettlement: (jobId: string, state: Settlement['state']) => void
  /** While down it answers 503 to everything. */
  readonly setDown: (down: boolean) => void
  /** Jobs that were given a hold. */
  readonly held: ReadonlySet<string>
  /** Requests so far, such as `PUT /internal/v1/jobs/x/hold`. */
  readonly requests: readonly string[]
  readonly close: () => Promise<void>
}

export const held: Hold = {
  state: 'Held',
  reason: 'Reserved',
  message: 'held',
  microCredits: 1_000_000,
}

class State {
  readonly token = randomBytes(24).toString('hex')
  readonly holds = new Map<string, Hold>()
  readonly reports = new Map<string, AttemptReport>()
  readonly settlements = new Map<string, Settlement>()
  readonly held = new Set<string>()
  readonly requests: string[] = []
  isDown = false
  /** Of attempts that have none of their own. */
  otherwise: Report | null = null
}

export async function startFakeInternalApi(otherwise?: Report): Promise<FakeInternalApi> {
  const state = new State()
  state.otherwise = otherwise ?? null
  const server = createServer((request, response) => {
    answer(state, request, response).catch((error: unknown) => {
      response.writeHead(400).end(String(error))
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: urlOf(server),
    token: state.token,
    setHold: (jobId, value) => state.holds.set(jobId, hold.parse(value)),
    setReport: (jobId, attempt, report) => {
      const value = { report, outputs: report?.outputs ?? [], stepsDone: report?.stepsDone ?? 0 }
      state.reports.set(`${jobId}/${attempt}`, attemptReport.parse(value))
    },
    setSettlement: (jobId, value) =>
      state.settlements.set(jobId, settlement.parse({ state: value })),
    setDown: (down) => {
      state.isDown = down
    },
    held: state.held,
    requests: state.requests,
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

/** Where a server on the loopback listens. */
export function urlOf(server: Server): string {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return `http://127.0.0.1:${address.port}`
}

const routes = [
  { method: 'PUT', path: /^\/internal\/v1\/jobs\/([^/]+)\/hold$/, answer: answerHold },
  {
    method: 'GET',
    path: /^\/internal\/v1\/jobs\/([^/]+)\/attempts\/(\d+)\/report$/,
    answer: answerReport,
  },
  { method: 'GET', path: /^\/internal\/v1\/jobs\/([^/]+)\/settlement$/, answer: answerSettlement },
] as const

async function answer(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = '', url = '' } = request
  state.requests.push(`${method} ${url}`)
  if (state.isDown) return void response.writeHead(503).end()
  if (request.headers.authorization !== `Bearer ${state.token}`) {
    return void response.writeHead(401).end()
  }
  for (const route of routes) {
    const match = route.path.exec(url)
    if (match === null || route.method !== method) continue
    const [, jobId = '', attempt = ''] = match
    const body = route.answer(state, { jobId, attempt, body: await readBody(request) })
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    return
  }
  response.writeHead(404).end()
}

type Asked = { readonly jobId: string; readonly attempt: string; readonly body: string }

function answerHold(state: State, { jobId, body }: Asked): Hold {
  holdRequest.parse(JSON.parse(body))
  const given = state.holds.get(jobId) ?? held
  if (given.state === 'Held') state.held.add(jobId)
  return given
}

function answerReport(state: State, { jobId, attempt }: Asked): AttemptReport {
  const { reports, otherwise } = state
  return reports.get(`${jobId}/${attempt}`) ?? { report: otherwise, outputs: [], stepsDone: 0 }
}

function answerSettlement(state: State, { jobId }: Asked): Settlement {
  return state.settlements.get(jobId) ?? { state: 'Open' }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}
