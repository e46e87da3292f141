import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { formatCredits } from '../../../src/shared/domain/price.ts'
import { jobView } from '../../../src/shared/wire/jobs.ts'
import type { RestSession } from '../../support/rest-session.ts'

/** Somebody with credits: `user` null is the department itself. */
export type Holder = { readonly department: string; readonly user: string | null }

/** What a definite answer said that happened: how many micro-credits went from whom to whom. */
export type Movement = {
  readonly from: Holder | null
  readonly to: Holder | null
  readonly microCredits: number
}

/** What the clients know to have happened. */
export type Book = { readonly movements: Movement[]; readonly jobs: string[] }

export type TellerParts = {
  readonly admin: RestSession
  /** Who may submit jobs, with the holder that pays. */
  readonly members: readonly { readonly session: RestSession; readonly holder: Holder }[]
  readonly book: Book
}
type Teller = TellerParts & {
  /** Numbers from 0 to 1: what this one does, and with whom. */
  readonly random: () => number
}

const triesMax = 600

/**
 * Asks with one key until there is a definite answer, as a good client does while servers die: no
 * answer, 5xx, 429 and a first request that still runs say nothing about what happened.
 */
async function ask(session: RestSession, path: string, body: object): Promise<Response> {
  const key = randomBytes(12).toString('hex')
  const headers = { 'content-type': 'application/json', 'idempotency-key': key }
  for (let tries = 0; tries < triesMax; tries += 1) {
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    const answer = await session.request(path, init).catch(() => null)
    const isVague = answer === null || answer.status >= 500 || answer.status === 429
    if (!isVague && !(await isInFlight(answer))) return answer
    await pause(200)
  }
  throw new Error(`${path}: no answer after ${triesMax} tries`)
}

async function isInFlight(answer: Response): Promise<boolean> {
  if (answer.status !== 409) return false
  return (await answer.clone().text()).includes('idempotency.in_flight')
}

/** One random thing that a client does; it goes into the book once it is known to be done. */
export async function actOnce(parts: Teller): Promise<void> {
  const dice = integer(parts.random, 0, 100)
  if (dice < 20) return await issue(parts)
  if (dice < 55) return await distribute(parts)
  if (dice < 80) return await revokeFromMember(parts)
  if (dice < 90) return await revokeFromDepartment(parts)
  return await runJob(parts)
}

async function issue({ admin, members, book, random }: Teller): Promise<void> {
  const { department } = pick(members, random).holder
  const microCredits = integer(random, 1, 5_000_000)
  const body = { department, credits: formatCredits(microCredits), reason: 'bank workload' }
  if (await isDone(await ask(admin, '/v1/credits/issues', body))) {
    book.movements.push({ from: null, to: { department, user: null }, microCredits })
  }
}

async function distribute({ admin, members, book, random }: Teller): Promise<void> {
  const { department } = pick(members, random).holder
  const own = members.filter(({ holder }) => holder.department === department)
  const shares = own.map(({ holder }) => ({ holder, microCredits: integer(random, 1, 3_000_000) }))
  const body = {
    department,
    members: shares.map(({ holder, microCredits }) => {
      return { user: holder.user, credits: formatCredits(microCredits) }
    }),
  }
  if (!(await isDone(await ask(admin, '/v1/credits/distributions', body)))) return
  const from = { department, user: null }
  for (const { holder: to, microCredits } of shares) book.movements.push({ from, to, microCredits })
}

async function revokeFromMember({ admin, members, book, random }: Teller): Promise<void> {
  const { holder } = pick(members, random)
  const microCredits = integer(random, 1, 4_000_000)
  const body = { ...holder, credits: formatCredits(microCredits), reason: 'bank workload' }
  if (await isDone(await ask(admin, '/v1/credits/revocations', body))) {
    const to = { department: holder.department, user: null }
    book.movements.push({ from: holder, to, microCredits })
  }
}

async function revokeFromDepartment({ admin, members, book, random }: Teller): Promise<void> {
  const { department } = pick(members, random).holder
  const microCredits = integer(random, 1, 4_000_000)
  const body = { department, credits: formatCredits(microCredits), reason: 'bank workload' }
  if (await isDone(await ask(admin, '/v1/credits/revocations', body))) {
    book.movements.push({ from: { department, user: null }, to: null, microCredits })
  }
}

/** Most are cancelled at once: the hold matters here, the picture does not. */
async function runJob({ members, book, random }: Teller): Promise<void> {
  const { session } = pick(members, random)
  const parameters = { prompt: 'a scratch on metal', steps: 1, batchCount: integer(random, 1, 4) }
  const body = { task: 'TextToImage', model: 'demo', parameters }
  const answer = await ask(session, '/v1/jobs', body)
  if (!(await isDone(answer))) return
  const { id } = jobView.parse(await answer.json())
  book.jobs.push(id)
  if (integer(random, 0, 10) > 0) await ask(session, `/v1/jobs/${id}/cancel`, {})
}

/** Not enough credits is an answer as well; anything else is a fault of ours or of the test. */
async function isDone(answer: Response): Promise<boolean> {
  if (answer.ok) return true
  const problem = z.object({ code: z.string() }).parse(await answer.clone().json())
  if (problem.code === 'credits.insufficient') return false
  throw new Error(`${answer.status} ${answer.url}: ${await answer.text()}`)
}

/** At least `min` and less than `end`. */
function integer(random: () => number, min: number, end: number): number {
  return min + Math.floor(random() * (end - min))
}

function pick<T>(items: readonly T[], random: () => number): T {
  const item = items[integer(random, 0, items.length)]
  if (item === undefined) throw new Error('there is something to pick from')
  return item
}
