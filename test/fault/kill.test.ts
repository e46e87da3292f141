import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { testEnvironment } from '../support/environment.ts'
import { longTests } from '../support/long.ts'
import type { RestSession } from '../support/rest-session.ts'

/**
 * The promise: kill -9 of any process while jobs run loses nothing and does nothing twice.
 * Each victim dies while jobs are on their way and is started again.
 */
const jobCount = longTests ? 20 : 3
const victims = ['api', 'controller', 'nodeAgent', 'redis'] as const

let atelier: TestAtelier
let member: RestSession
beforeAll(async () => {
  atelier = await startTestAtelier(testEnvironment())
  member = await atelier.signIn('department_member')
})
afterAll(async () => await atelier.stop())

async function submitAll(round: string): Promise<readonly string[]> {
  const jobs = []
  for (let index = 0; index < jobCount; index += 1) {
    const parameters = { prompt: 'a photo of a hole on leather', seed: index, batchCount: 2 }
    jobs.push(
      await member.submit({ task: 'TextToImage', model: 'demo', parameters }, `${round}-${index}`),
    )
  }
  return jobs.map(({ id }) => id)
}

async function kill(victim: (typeof victims)[number]): Promise<void> {
  if (victim === 'redis') await atelier.killRedis()
  else await atelier[victim].kill()
}

async function restart(victim: (typeof victims)[number]): Promise<void> {
  if (victim === 'redis') await atelier.startRedis()
  else await atelier[victim].restart()
}

/** Jobs whose account is not settled yet; a failing test prints just these. */
async function openJobs(ids: readonly string[]) {
  const jobs = await member.jobs()
  return jobs
    .filter(({ id, cost }) => ids.includes(id) && cost.charged === null)
    .map(({ id, state, reason, message }) => ({ id, state, reason, message }))
}

test.each(victims)(
  `kill -9 of %s while ${jobCount} jobs run: all finish once, are charged once, drift 0`,
  async (victim) => {
    const before = await balance()
    const ids = await submitAll(victim)
    await pollUntil(
      async () => await openJobs(ids),
      (open) => open.length <= jobCount - 2,
      120_000,
    )
    await kill(victim)
    await restart(victim)
    await pollUntil(
      async () => await openJobs(ids),
      (open) => open.length === 0,
      300_000,
    )
    const jobs = await Promise.all(ids.map(async (id) => await member.job(id)))
    expect(jobs.map(({ state }) => state)).toEqual(ids.map(() => 'Completed'))
    expect(jobs.map(({ outputs }) => outputs.length)).toEqual(ids.map(() => 2))
    expect(jobs.map(({ cost }) => cost.charged)).toEqual(ids.map(() => '2'))
    expect(before - (await balance())).toBe(jobCount * 2)
    await expectNoDrift()
  },
  600_000,
)

async function balance(): Promise<number> {
  const profile: unknown = await (await member.request('/v1/users/me')).json()
  // Whole credits here: every price in this file is a multiple of one credit.
  return Number((profile as { balance: string }).balance)
}

async function expectNoDrift(): Promise<void> {
  const admin = await atelier.signIn('super_admin')
  const audit = await pollUntil(
    async () => (await (await admin.request('/v1/system/audit')).json()) as { drift: number },
    ({ drift }) => drift === 0,
  )
  expect(audit).toMatchObject({ drift: 0 })
}
