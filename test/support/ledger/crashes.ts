import { expect } from 'vitest'
import { sendCredits } from '../../../src/shared/domain/account-movement.ts'
import { fundAll } from './commands.ts'
import type { Answer, Ask } from './model.ts'
import { type Fault, hash, perform } from './processes.ts'
import { prove, proveAtRest } from './proof.ts'
import { askAll, bury, processOf, relayBy, type World } from './world.ts'

/** What is asked of a process that is struck while it does it. */
export type Scenario = {
  readonly name: string
  /** What was done before, by another process. */
  readonly before: (world: World) => readonly Ask[]
  readonly waitMs?: number
  /** Null: a pass of the relay over what a dead process sent. */
  readonly ask: ((world: World) => Ask) | null
}

const jobOf = ({ prefix, accountIds: [accountId = ''] }: World) => {
  return { accountId, jobId: `${prefix}-job` }
}
const held = (world: World): Ask => ({ kind: 'hold', ...jobOf(world), microCredits: 70 })
const settled = (world: World): Ask => ({ kind: 'settle', ...jobOf(world), microCredits: 50 })
const toMembers = ({ prefix, accountIds: [accountId = '', ...members] }: World): Ask => ({
  kind: 'transfer',
  how: 'Distribute',
  transferId: `${prefix}-all`,
  accountId,
  recipients: members.map((member, index) => ({ accountId: member, microCredits: 10 + index })),
})
const revoked =
  (to: 'Department' | 'System') =>
  (world: World): Ask => ({
    kind: 'transfer',
    how: 'Revoke',
    transferId: `${world.prefix}-back`,
    accountId: world.accountIds[1] ?? '',
    recipients: [
      { accountId: to === 'System' ? null : (world.accountIds[0] ?? ''), microCredits: 45 },
    ],
  })
const nothing = () => []

export const scenarios: readonly Scenario[] = [
  { name: 'hold', before: nothing, ask: held },
  { name: 'settle', before: (world) => [held(world)], ask: settled },
  {
    name: 'void',
    before: (world) => [held(world)],
    ask: (world) => ({ kind: 'void', ...jobOf(world) }),
  },
  {
    name: 'expire',
    before: (world) => [held(world)],
    ask: (world) => ({ kind: 'expire', ...jobOf(world) }),
  },
  {
    name: 'issue',
    before: nothing,
    ask: ({ prefix, accountIds: [accountId = ''] }) => {
      const issueId = `${prefix}-more`
      return { kind: 'issue', accountId, issueId, microCredits: 7, expiresMs: null }
    },
  },
  { name: 'distribute to three', before: nothing, ask: toMembers },
  { name: 'revoke to the department', before: nothing, ask: revoked('Department') },
  { name: 'revoke to the system', before: nothing, ask: revoked('System') },
  {
    name: 'adjust',
    before: (world) => [held(world), settled(world)],
    ask: (world) => ({
      kind: 'adjust',
      accountId: jobOf(world).accountId,
      entryId: `${jobOf(world).jobId}:settle`,
      microCredits: 20,
      expiresMs: null,
    }),
  },
  {
    name: 'lapse',
    before: nothing,
    waitMs: 1_900_000,
    ask: ({ accountIds: [accountId = ''] }) => ({ kind: 'lapse', accountId }),
  },
  { name: 'relay', before: nothing, ask: null },
]

type Played = { readonly answer: Answer | null; readonly end: unknown; readonly calls: number }

/** Plays a scenario, asks again whoever got no answer, and proves what is left. */
export async function play(
  newWorld: () => World,
  scenario: Scenario,
  fault: Fault | null,
): Promise<Played> {
  const world = newWorld()
  await prepare(world, scenario)
  const played =
    scenario.ask === null
      ? { answer: null, calls: await relayed(world, fault) }
      : await playAsk(world, scenario.ask(world), fault)
  await proveAtRest(world)
  return { ...played, end: endOf(world) }
}

async function prepare(world: World, { before, waitMs = 0 }: Scenario): Promise<void> {
  await fundAll(world)
  for (const ask of before(world)) await prove(world, await askAll(world, [{ ask, process: 1 }]))
  await Promise.all(world.processes.map(async (process) => await process.rest()))
  world.advance(waitMs)
}

async function playAsk(world: World, ask: Ask, fault: Fault | null) {
  const struck = processOf(world, 0)
  struck.plan(fault)
  const first = await asked(world, ask)
  const calls = struck.calls()
  struck.plan(null)
  await bury(world)
  const again = await askAll(world, [{ ask, process: 1 }])
  await prove(world, again)
  const answer = again[0]?.answer ?? null
  if (first !== null && answer?.kind !== 'NothingLapsed') expect(answer).toEqual(first)
  return { answer, calls }
}

/** Null when it died before it answered. Goes on until it has nothing left to do. */
async function asked(world: World, ask: Ask): Promise<Answer | null> {
  const process = processOf(world, 0)
  const work = perform(process, ask).catch(() => null)
  const answer = await Promise.race([work, process.died.then(() => null)])
  await process.rest()
  return answer
}

async function relayed(world: World, fault: Fault | null): Promise<number> {
  await leaveInFlight(world)
  return await relayBy(world, 0, fault)
}

/** As a process leaves it that dies after its first write of a distribution. */
async function leaveInFlight(world: World): Promise<void> {
  const ask = toMembers(world)
  if (ask.kind !== 'transfer') throw new Error('a distribution is a transfer')
  const before = await world.store.read(ask.accountId)
  const request = { ...ask, kind: ask.how }
  const sent = sendCredits(before.account, request, { nowMs: world.nowMs(), hash })
  if (sent.kind !== 'Moved') throw new Error('the department has enough')
  await world.store.write([
    { before, account: sent.account, outbox: [...before.outbox, sent.entry] },
  ])
  await prove(world, [{ ask, answer: { kind: 'Moved', microCredits: 33 } }])
}

/** All entries in the words of any world: without hashes, which have the names in them. */
function endOf({ chains, prefix }: World): unknown {
  const entries = [...chains.values()].flat()
  const texts = entries.map((entry) => ({ ...entry, hash: '', previousHash: '' }))
  return JSON.parse(JSON.stringify(texts).replaceAll(prefix, 'x'))
}

/**
 * At every call that a scenario makes: the same end and the same answer as without a fault. How
 * many faults that were.
 */
export async function proveEveryFault(
  newWorld: () => World,
  scenario: Scenario,
  outcome: Fault['outcome'],
): Promise<number> {
  const whole = await play(newWorld, scenario, null)
  const calls = await countCalls(newWorld, scenario)
  for (let call = 1; call <= calls; call += 1) {
    for (const effect of ['Before', 'After'] as const) {
      const struck = await play(newWorld, scenario, { call, effect, outcome })
      expect(struck.end).toEqual(whole.end)
      // Whoever asks again whether something has lapsed is told that it is done.
      if (scenario.name !== 'lapse') expect(struck.answer).toEqual(whole.answer)
    }
  }
  return 2 * calls
}

async function countCalls(newWorld: () => World, scenario: Scenario): Promise<number> {
  const far: Fault = { call: 1_000_000, effect: 'Before', outcome: 'Dies' }
  return (await play(newWorld, scenario, far)).calls
}
