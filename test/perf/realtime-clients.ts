import { once } from 'node:events'
import { WebSocket } from 'ws'
import { sessionView } from '../../src/shared/wire/sessions.ts'
import { ticketView } from '../../src/shared/wire/realtime.ts'

export type Clients = {
  readonly latenciesMs: () => readonly number[]
  /** States that came twice, or after a newer one. */
  readonly repeated: () => number
  /** Sockets that do not know the newest state of each job of theirs. */
  readonly behind: () => number
  readonly closed: () => number
  readonly close: () => void
}

/** When each state was published: by job, and its number among the job's. */
export type Published = {
  readonly timeOf: (jobId: string, number: number) => number | undefined
  readonly newestOf: (userId: string) => ReadonlyMap<string, number>
}

export type Person = { readonly userId: string; readonly token: string }

/** The beginning of a message, with the job and the number of its state. */
const heads = {
  Snapshot: /^\{"event":"job","id":(?<number>\d+),"data":\{"id":"(?<jobId>[^"]+)"/,
  Progress: /^\{"event":"progress","id":\d+,"jobId":"(?<jobId>[^"]+)".*"step":(?<number>\d+)/,
}

export type Opening = {
  readonly sockets: number
  readonly published: Published
  readonly kind: keyof typeof heads
}

/** Opens sockets for people in turn; only the head of a message is read, to spare the processor. */
export async function openClients(
  address: string,
  people: readonly Person[],
  { sockets, published, kind }: Opening,
): Promise<Clients> {
  const latenciesMs: number[] = []
  const known: { readonly userId: string; readonly newest: Map<string, number> }[] = []
  const open: WebSocket[] = []
  let repeated = 0
  let closed = 0
  const receive = (newest: Map<string, number>, data: Buffer): void => {
    const nowMs = performance.now()
    const { jobId, number: digits } =
      heads[kind].exec(data.toString('latin1', 0, 160))?.groups ?? {}
    if (jobId === undefined) return
    const number = Number(digits)
    if (number <= (newest.get(jobId) ?? 0)) {
      repeated += 1
      return
    }
    newest.set(jobId, number)
    // A row may be read, for another event, between its change and the publishing of that.
    latenciesMs.push(Math.max(0, nowMs - (published.timeOf(jobId, number) ?? nowMs)))
  }
  const openOne = async (person: Person): Promise<void> => {
    const newest = new Map<string, number>()
    const { ticket } = ticketView.parse(await post(`${address}/v1/realtime/tickets`, person.token))
    const url = `${address.replace('http', 'ws')}/v1/ws?ticket=${ticket}`
    const webSocket = new WebSocket(url, { perMessageDeflate: false })
    webSocket.on('message', (data) => {
      if (Buffer.isBuffer(data)) receive(newest, data)
    })
    webSocket.on('close', () => (closed += 1))
    const hello = once(webSocket, 'message')
    await once(webSocket, 'open')
    await hello
    open.push(webSocket)
    known.push({ userId: person.userId, newest })
  }
  const wanted = Array.from({ length: sockets }, (_, index) => people[index % people.length])
  const queue = wanted.values()
  const worker = async (): Promise<void> => {
    for (const person of queue) if (person !== undefined) await openOne(person)
  }
  await Promise.all(Array.from({ length: 16 }, worker))
  return {
    latenciesMs: () => latenciesMs,
    repeated: () => repeated,
    behind: () =>
      known.filter(({ userId, newest }) => isBehind(newest, published.newestOf(userId))).length,
    closed: () => closed,
    close: () => {
      for (const webSocket of open) webSocket.terminate()
    },
  }
}

function isBehind(
  newest: ReadonlyMap<string, number>,
  truth: ReadonlyMap<string, number>,
): boolean {
  return [...truth].some(([jobId, number]) => newest.get(jobId) !== number)
}

export async function signIn(address: string, email: string, password: string): Promise<Person> {
  const session = sessionView.parse(
    await post(`${address}/v1/sessions`, undefined, { email, password }),
  )
  return { userId: session.user.id, token: session.accessToken ?? '' }
}

async function post(url: string, token: string | undefined, body?: object): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })
  if (!response.ok) throw new Error(`${response.status} ${url}: ${await response.text()}`)
  return await response.json()
}
