import { expect } from 'vitest'
import { type Account, accountFaults } from '../../../src/shared/domain/account.ts'
import { type Entry, entryHash, isChain, sides } from '../../../src/shared/domain/account-entry.ts'
import {
  answerOf,
  arrive,
  type ModelAccount,
  type Move,
  type Piece,
  type Step,
  sum,
} from './model.ts'
import { hash } from './processes.ts'
import { type Asked, bury, relayBy, type World } from './world.ts'

/**
 * Proves that what the accounts look like now follows from what they looked like and from what was
 * asked since, in the order of each account's chain: every new entry is what the model does for a
 * request or a receipt, and every answer is the model's at one of the moments in between.
 */
export async function prove(world: World, asked: readonly Asked[]): Promise<void> {
  const grown = new Map<string, Growth>()
  for (const id of world.accountIds) grown.set(id, await grow(world, id))
  explain(world, grown, asked)
  for (const one of asked) wasSo(world, grown.get(one.ask.accountId), one)
  for (const [id, { account, states }] of grown) {
    const model = states.at(-1)
    if (model === undefined) throw new Error('there is a state')
    const [is, wanted] = [viewOf(account), viewOfModel(model)]
    if (!isEqual(is, wanted)) expect(is).toEqual(wanted)
    const faults = accountFaults(account)
    if (faults.length > 0) throw new Error(`${id}: ${faults.join('; ')}`)
    world.models.set(id, model)
  }
}

function wasSo(world: World, growth: Growth | undefined, { ask, answer }: Asked): void {
  const { states = [], added = [] } = growth ?? {}
  const isTrue = states.some((state, index) => {
    const step = answerOf(state, ask, world.nowMs())
    const isEffectThere = step.entryId === null || step.entryId === added[index]?._id
    return isEffectThere && isEqual(step.answer, answer)
  })
  if (isTrue || isSameLapse(world, { ask, answer })) return
  const model = states.map((state) => answerOf(state, ask, world.nowMs()).answer)
  throw new Error(`${text({ ask, answer })} was never so: ${text(model)}`)
}

/**
 * Who lapses an account as it was before another process did so, within the same millisecond,
 * writes the same entry with the same hash: nobody can tell whose of them it is.
 */
function isSameLapse(world: World, { ask, answer }: Pick<Asked, 'ask' | 'answer'>): boolean {
  const chain = world.chains.get(ask.accountId) ?? []
  const isNow = ({ kind, timeMs }: Entry) => kind === 'Lapse' && timeMs === world.nowMs()
  return answer.kind === 'Lapsed' && chain.some(isNow)
}

type Growth = {
  readonly account: Account
  readonly added: readonly Entry[]
  /** Before the first new entry, and after each. */
  readonly states: ModelAccount[]
}

/** The chain grows at its end only. */
async function grow(world: World, accountId: string): Promise<Growth> {
  const known = world.chains.get(accountId) ?? []
  const { account, outbox } = await world.store.read(accountId)
  const stored = await world.store.entriesOf(accountId, known.length)
  const bySeq = new Map([...outbox, ...stored].map((entry) => [entry.seq, entry]))
  const added = [...bySeq.values()]
    .filter(({ seq }) => seq > known.length)
    .toSorted((a, b) => a.seq - b.seq)
  const all = [...known, ...added]
  for (const [index, entry] of added.entries()) follow(entry, all[known.length + index - 1])
  for (const entry of outbox) notEdited(entry, all[entry.seq - 1])
  expect(account.seq).toBe(all.length)
  expect(account.chain).toBe(all.at(-1)?.hash ?? '')
  world.chains.set(accountId, all)
  const state = world.models.get(accountId)
  if (state === undefined) throw new Error('an account of the world has a model')
  return { account, added, states: [state] }
}

function follow(entry: Entry, previous: Entry | undefined): void {
  const { hash: own, ...rest } = entry
  const { seq = 0, hash: last = '', accountId = entry.accountId } = previous ?? {}
  const isNext = rest.seq === seq + 1 && rest.accountId === accountId
  const isLinked = rest.previousHash === last && own === entryHash(rest, hash)
  if (isNext && isLinked) return
  throw new Error(`${text(entry)} does not follow ${text(previous)}`)
}

function notEdited(entry: Entry, known: Entry | undefined): void {
  if (isEqual(entry, known)) return
  throw new Error(`${text(entry)} was edited: it was ${text(known)}`)
}

/** A receipt may wait for what another account sends: goes round until all is explained. */
function explain(world: World, grown: ReadonlyMap<string, Growth>, asked: readonly Asked[]): void {
  let isMoving = true
  while (isMoving) {
    isMoving = false
    for (const growth of grown.values()) {
      while (explainNext(world, growth, asked)) isMoving = true
    }
  }
  for (const { added, states } of grown.values()) {
    const [first] = added.slice(states.length - 1)
    if (first !== undefined) throw new Error(`nobody asked for ${text(first)}`)
  }
}

function explainNext(world: World, { added, states }: Growth, asked: readonly Asked[]): boolean {
  const [entry, state] = [added[states.length - 1], states.at(-1)]
  if (entry === undefined || state === undefined) return false
  const step = stepFor(world, state, { entry, asked })
  if (step === null) return false
  if (entry.timeMs !== world.nowMs()) throw new Error(`${text(entry)} is of another time`)
  const [is, wanted] = [sorted(entry.postings), sorted(step.moves)]
  if (!isEqual(is, wanted)) expect(is).toEqual(wanted)
  world.inFlight.delete(entry._id)
  for (const [side, moves] of Map.groupBy(step.moves, ({ credit }) => credit)) {
    if (!side.endsWith('/incoming')) continue
    const accountId = side.slice(0, -'/incoming'.length)
    world.inFlight.set(`${entry._id}:${accountId}:receive`, { accountId, pieces: moves.map(piece) })
  }
  states.push(step.next)
  return true
}

function stepFor(
  world: World,
  state: ModelAccount,
  { entry, asked }: { readonly entry: Entry; readonly asked: readonly Asked[] },
): Step | null {
  const arriving = world.inFlight.get(entry._id)
  if (arriving?.accountId === state.id) return arrive(state, entry._id, arriving.pieces)
  // Of two that use one id in different ways, either may be first.
  const steps = asked
    .filter(({ ask }) => ask.accountId === state.id)
    .map(({ ask }) => answerOf(state, ask, world.nowMs()))
    .filter(({ entryId }) => entryId === entry._id)
  const exact = steps.find(({ moves }) => isEqual(sorted(moves), sorted(entry.postings)))
  return exact ?? steps[0] ?? null
}

/** After the last pass of the relay nothing is on its way, and the books balance. */
export async function proveAtRest(world: World): Promise<void> {
  for (const process of world.processes) await process.rest()
  await bury(world)
  for (let pass = 0; pass < 2; pass += 1) await relayBy(world, pass, null)
  await prove(world, [])
  expect([...world.inFlight.keys()]).toEqual([])
  for (const id of world.accountIds) {
    expect((await world.store.read(id)).outbox).toEqual([])
    const stored = await world.store.entriesOf(id, 0)
    expect(stored).toEqual(world.chains.get(id))
    expect(isChain(stored, hash)).toBe(true)
  }
  await proveSums(world)
}

async function proveSums(world: World): Promise<void> {
  const entries = [...world.chains.values()].flat()
  const sums = new Map<string, number>()
  for (const { debit, credit, microCredits } of entries.flatMap(({ postings }) => postings)) {
    sums.set(debit, (sums.get(debit) ?? 0) - microCredits)
    sums.set(credit, (sums.get(credit) ?? 0) + microCredits)
  }
  expect([...sums.values()].reduce((total, one) => total + one, 0)).toBe(0)
  for (const id of world.accountIds) {
    const { totals } = (await world.store.read(id)).account
    expect(sums.get(sides.available(id)) ?? 0).toBe(totals.available)
    expect(sums.get(sides.held(id)) ?? 0).toBe(totals.held)
    expect(sums.get(sides.incoming(id)) ?? 0).toBe(0)
  }
}

/** Of an account and of its model, in the same words. */
function viewOf({ seq, lots, holds, totals }: Account) {
  const pieces = lots.map(({ id: lotId, ...rest }) => ({ lotId, ...rest }))
  const held = holds.map(({ jobId, parts }) => {
    return [jobId, parts.map(({ id: lotId, ...rest }) => ({ lotId, ...rest }))] as const
  })
  return { seq, lots: sorted(pieces), holds: sorted(held), totals }
}

function viewOfModel({ id, seq, lots, holds, past }: ModelAccount) {
  const moves = [...past.values()].flatMap((fact) => fact.moves)
  const free = `${id}/available`
  const between = (isWanted: (move: Move) => boolean) => sum(moves.filter(isWanted))
  const to = (side: string) => between(({ credit }) => credit === side)
  const totals = {
    issued: between(({ debit }) => debit === 'system/issued'),
    received: between(({ debit }) => debit === `${id}/incoming`),
    available: sum(lots.values()),
    held: sum([...holds.values()].flat()),
    spent: to('system/revenue') - between(({ debit }) => debit === 'system/revenue'),
    expired: to('system/expired') - between(({ debit }) => debit === 'system/expired'),
    sent: between(({ debit, credit }) => debit === free && credit.endsWith('/incoming')),
    revoked: to('system/issued'),
  }
  return { seq, lots: sorted(lots.values()), holds: sorted(holds), totals }
}

function piece({ lotId, microCredits, expiresMs }: Piece): Piece {
  return { lotId, microCredits, expiresMs }
}

function isEqual(a: unknown, b: unknown): boolean {
  return text(a) === text(b)
}

/** With keys in order. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function sorted(values: Iterable<unknown>): readonly string[] {
  return [...values].map(text).toSorted()
}
