import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type AccountStore, openAccountStore } from '../../src/api/features/accounts/store.ts'
import { type Database, openDatabase } from '../../src/platform/mongo/database.ts'
import { parseCredits } from '../../src/shared/domain/price.ts'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { testEnvironment } from '../support/environment.ts'
import { longTests } from '../support/long.ts'
import type { RestSession } from '../support/rest-session.ts'
import { seed, startRandom } from '../support/seed.ts'
import { cutFaults, readCut } from './bank/cut.ts'
import { actOnce, type Book, type Holder, type TellerParts } from './bank/teller.ts'

/**
 * The bank workload of Jepsen on our credits: clients move them about over HTTP while api, Redis
 * and database are killed with SIGKILL. At every read nothing is negative, at every consistent cut
 * nothing is lost or made, and in the end every account has exactly what its clients were told.
 */
const clients = 16
/** Longer where a busy machine has not killed each victim by then. */
const seconds = longTests ? 600 : 24
const killEverySeconds = longTests ? 12 : 6
const victims = ['api', 'redis', 'database'] as const

let engine: TestDatabase
let database: Database
let store: AccountStore
let atelier: TestAtelier
beforeAll(async () => {
  engine = await openTestDatabase({ ours: true })
  const environment = { ...testEnvironment(), mongodbUri: engine.uri }
  atelier = await startTestAtelier(environment, { rateLimits: false })
  database = await openDatabase({ uri: atelier.mongodbUri })
  store = openAccountStore(database)
}, 180_000)
afterAll(async () => {
  await database.close()
  await atelier.stop()
  await engine.stop()
}, 120_000)

test(
  `${clients} clients for ${seconds} s while api, Redis and database die (seed ${seed})`,
  async () => {
    const parts = await openTellers()
    const before = await balances(parts)
    const endMs = performance.now() + seconds * 1000
    const kills: Kills = { api: 0, redis: 0, database: 0 }
    const isOver = () => performance.now() > endMs && victims.every((victim) => kills[victim] > 0)
    const [cuts, reads] = await Promise.all([
      watchCuts(isOver),
      watchReads(parts.admin, isOver),
      killInTurn(kills, isOver),
      ...Array.from({ length: clients }, async (_, client) => {
        const random = startRandom(seed + client)
        while (!isOver()) await actOnce({ ...parts, random })
      }),
    ])
    await untilJobsEnded(parts.book)
    const { movements, jobs } = parts.book
    const counts = { movements: movements.length, jobs: jobs.length, cuts: cuts.seen }
    process.stdout.write(`  ${JSON.stringify({ ...counts, reads: reads.seen, kills })}\n`)
    expect(cuts.faults).toEqual([])
    expect(reads.negative).toEqual([])
    expect(Math.min(cuts.seen, reads.seen)).toBeGreaterThan(10)
    for (const victim of victims) expect(kills[victim]).toBeGreaterThan(0)
    expect(movements.length).toBeGreaterThan(seconds)
    expect(await balances(parts)).toEqual(await expectedBalances(before, parts))
    await expectNoDrift(parts.admin)
  },
  (seconds + 300) * 1000,
)

const profileView = z.object({ id: z.string(), department: z.string() })

async function openTellers(): Promise<TellerParts> {
  const admin = await atelier.signIn('super_admin')
  const sessions = await Promise.all([
    atelier.signIn('department_admin'),
    atelier.signIn('department_member'),
    atelier.signIn('department_member', 'assembly'),
  ])
  const members = await Promise.all(
    [admin, ...sessions].map(async (session) => {
      const profile: unknown = await (await session.request('/v1/users/me')).json()
      const { id: user, department } = profileView.parse(profile)
      return { session, holder: { department, user } }
    }),
  )
  return { admin, members, book: { movements: [], jobs: [] } }
}

/** How many consistent cuts there were, and what was wrong with them. */
async function watchCuts(isOver: () => boolean) {
  let seen = 0
  const faults: string[] = []
  while (!isOver()) {
    const cut = await readCut(store).catch(() => null)
    if (cut !== null) {
      seen += 1
      faults.push(...cutFaults(cut))
    }
    await pause(100)
  }
  return { seen, faults }
}

const accountPage = z.object({
  items: z.array(z.object({ available: z.string(), held: z.string(), spent: z.string() })),
})

/** How often people saw all accounts, and what they were shown below zero. */
async function watchReads(admin: RestSession, isOver: () => boolean) {
  let seen = 0
  const negative: object[] = []
  while (!isOver()) {
    for (const department of ['vision', 'assembly']) {
      const path = `/v1/credits/accounts?department=${department}`
      const answer = await admin.request(path).catch(() => null)
      if (answer?.ok !== true) continue
      seen += 1
      const { items } = accountPage.parse(await answer.json())
      negative.push(...items.filter((shown) => JSON.stringify(shown).includes('"-')))
    }
    await pause(250)
  }
  return { seen, negative }
}

type Kills = Record<(typeof victims)[number], number>

async function killInTurn(kills: Kills, isOver: () => boolean): Promise<void> {
  for (let turn = 0; !isOver(); turn += 1) {
    await pause((killEverySeconds / 2) * 1000)
    const victim = victims[turn % victims.length] ?? 'api'
    await killAndRestart(victim)
    kills[victim] += 1
    await pause((killEverySeconds / 2) * 1000)
  }
}

async function killAndRestart(victim: (typeof victims)[number]): Promise<void> {
  if (victim === 'api') {
    await atelier.api.kill()
    await atelier.api.restart()
  } else if (victim === 'redis') {
    await atelier.killRedis()
    await atelier.startRedis()
  } else {
    await engine.kill()
    await engine.restart()
  }
}

async function untilJobsEnded({ jobs }: Book): Promise<void> {
  const rows = database.documents<{ readonly _id: string; readonly hold: string }>('jobs')
  const open = { _id: { $in: jobs }, hold: { $in: ['None', 'Held'] } }
  await pollUntil(
    // The last kill may have been a moment ago.
    async () => await rows.findIds(open, jobs.length + 1).catch(() => null),
    (ids) => ids?.length === 0,
    240_000,
  )
}

const accountView = z.object({ available: z.string(), held: z.string() })

/** Micro-credits by holder. */
async function balances({ admin, members }: TellerParts): Promise<Record<string, number>> {
  const departments = [...new Set(members.map(({ holder }) => holder.department))]
  const holders: readonly Holder[] = [
    ...departments.map((department) => ({ department, user: null })),
    ...members.map(({ holder }) => holder),
  ]
  const all: Record<string, number> = {}
  for (const holder of holders) {
    const query = new URLSearchParams({ department: holder.department })
    if (holder.user !== null) query.set('user', holder.user)
    const answer = await admin.request(`/v1/credits/account?${query.toString()}`)
    const { available, held } = accountView.parse(await answer.json())
    all[nameOf(holder)] = parseCredits(available) + parseCredits(held)
  }
  return all
}

/** What the clients were told, and what their jobs say that they cost. */
async function expectedBalances(
  before: Record<string, number>,
  { members, book }: TellerParts,
): Promise<Record<string, number>> {
  const all = { ...before }
  const add = (holder: Holder | null, microCredits: number) => {
    if (holder !== null) all[nameOf(holder)] = (all[nameOf(holder)] ?? 0) + microCredits
  }
  for (const { from, to, microCredits } of book.movements) {
    add(from, -microCredits)
    add(to, microCredits)
  }
  for (const { session, holder } of members) {
    for (const { cost } of await ownJobs(session, book.jobs)) {
      add(holder, -parseCredits(cost.charged ?? '0'))
    }
  }
  return all
}

const costView = z.object({
  id: z.string(),
  owner: z.object({ user: z.string().optional() }),
  cost: z.object({ charged: z.string().nullable() }),
})

async function ownJobs(session: RestSession, ids: readonly string[]) {
  const profile: unknown = await (await session.request('/v1/users/me')).json()
  const { id: user } = profileView.parse(profile)
  const jobs = []
  for (const id of ids) {
    const answer = await session.request(`/v1/jobs/${id}`)
    if (answer.status === 404) continue
    jobs.push(costView.parse(await answer.json()))
  }
  return jobs.filter(({ owner }) => owner.user === user)
}

function nameOf({ department, user }: Holder): string {
  return user === null ? department : `${department}/${user}`
}

async function expectNoDrift(admin: RestSession): Promise<void> {
  const audit = await pollUntil(
    async () => {
      const init = { signal: AbortSignal.timeout(120_000) }
      return (await (await admin.request('/v1/system/audit', init)).json()) as { drift: number }
    },
    ({ drift }) => drift === 0,
    120_000,
  )
  expect(audit).toMatchObject({ drift: 0 })
}
