import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { isLapsed } from '../../../src/shared/domain/account.ts'
import type { Ask } from './model.ts'
import type { Fault } from './processes.ts'
import { prove } from './proof.ts'
import { type Asked, askAll, processOf, relayBy, type Request, type World } from './world.ts'

const accounts = 4
const maxProcesses = 8

/** What to ask for, before it is known how the world looks then. */
type Wish = (world: World) => Ask

/** An arbitrary wish that can be printed. */
const wishOf = <Fields>(
  fields: fc.Arbitrary<Fields>,
  toAsk: (fields: Fields, world: World) => Ask,
) => fields.map((chosen) => Object.assign((world: World) => toAsk(chosen, world), { chosen }))

function at({ accountIds }: World, index: number): string {
  return accountIds[index % accounts] ?? ''
}

const amount = fc.integer({ min: 1, max: 60 })
const price = fc.integer({ min: 0, max: 50 })
const lifeMs = fc.option(fc.integer({ min: 1, max: 7_200_000 }))
const expiry = (world: World, life: number | null) => (life === null ? null : world.nowMs() + life)

/** Few ids, each of one account: many wishes meet one that was made before. */
const issue = wishOf(fc.record({ id: fc.nat(7), amount, lifeMs }), (chosen, world) => ({
  kind: 'issue',
  accountId: at(world, chosen.id),
  issueId: `${world.prefix}-i${chosen.id}`,
  microCredits: chosen.amount,
  expiresMs: expiry(world, chosen.lifeMs),
}))

const jobFields = fc.record({ id: fc.nat(7), price })
const job = wishOf(
  fc.record({
    kind: fc.constantFrom('hold' as const, 'hold' as const, 'settle' as const),
    fields: jobFields,
  }),
  ({ kind, fields: { id, price: microCredits } }, world) => ({
    kind,
    accountId: at(world, id),
    jobId: `${world.prefix}-j${id}`,
    microCredits,
  }),
)
const ending = wishOf(
  fc.record({ kind: fc.constantFrom('void' as const, 'expire' as const), id: fc.nat(7) }),
  ({ kind, id }, world) => ({
    kind,
    accountId: at(world, id),
    jobId: `${world.prefix}-j${id}`,
  }),
)

const share = fc.integer({ min: 1, max: 30 })
const transfer = wishOf(
  fc.record({
    id: fc.nat(7),
    how: fc.constantFrom('Distribute' as const, 'Revoke' as const),
    offsets: fc.subarray([1, 2, 3], { minLength: 1 }),
    isToSystem: fc.boolean(),
    shares: fc.array(share, { minLength: 4, maxLength: 4 }),
  }),
  ({ id, how, offsets, isToSystem, shares }, world) => {
    const others = offsets.map((offset) => at(world, id + offset))
    const to = how === 'Revoke' && isToSystem ? [null, ...others] : others
    return {
      kind: 'transfer',
      accountId: at(world, id),
      transferId: `${world.prefix}-t${id}`,
      how,
      recipients: to.map((accountId, index) => ({ accountId, microCredits: shares[index] ?? 1 })),
    }
  },
)
const recall = wishOf(
  fc.record({ id: fc.nat(7), max: amount, isToSystem: fc.boolean() }),
  ({ id, max, isToSystem }, world) => ({
    kind: 'recall',
    accountId: at(world, id),
    transferId: `${world.prefix}-r${id}`,
    to: isToSystem ? null : at(world, id + 1),
    microCreditsMax: max,
  }),
)
const adjust = wishOf(
  fc.record({ account: fc.nat(3), entry: fc.nat(60), amount: share, lifeMs }),
  (chosen, world) => {
    const chain = world.chains.get(at(world, chosen.account)) ?? []
    const taking = chain.filter(({ kind }) => kind === 'Settle' || kind === 'Lapse')
    const from = chosen.entry % 3 === 0 ? chain : taking
    return {
      kind: 'adjust',
      accountId: at(world, chosen.account),
      entryId: from[chosen.entry % Math.max(1, from.length)]?._id ?? 'nothing:settle',
      microCredits: chosen.amount,
      expiresMs: expiry(world, chosen.lifeMs),
    }
  },
)
const lapse = wishOf(fc.nat(3), (account, world) => ({
  kind: 'lapse',
  accountId: at(world, account),
}))

const wish: fc.Arbitrary<Wish> = fc.oneof(
  { weight: 3, arbitrary: issue },
  { weight: 8, arbitrary: job },
  { weight: 2, arbitrary: ending },
  { weight: 4, arbitrary: transfer },
  { weight: 1, arbitrary: recall },
  { weight: 2, arbitrary: adjust },
  { weight: 1, arbitrary: lapse },
)
const process = fc.nat(maxProcesses - 1)
const request = fc.record({ wish, process })
const effect = fc.constantFrom('Before' as const, 'After' as const)
const death: fc.Arbitrary<Fault> = fc.record({
  call: fc.integer({ min: 1, max: 10 }),
  effect,
  outcome: fc.constantFrom('Dies' as const, 'Dies' as const, 'Fails' as const),
})

type LedgerCommand = fc.AsyncCommand<object, World>

function command(name: string, chosen: unknown, run: LedgerCommand['run']): LedgerCommand {
  const words = JSON.stringify(chosen, (_key, value: unknown) =>
    typeof value === 'function' && 'chosen' in value ? value.chosen : value,
  )
  return { check: () => true, run, toString: () => `${name}(${words})` }
}

type Chosen = { readonly wish: Wish; readonly process: number }

function toRequests(world: World, chosen: readonly Chosen[]): readonly Request[] {
  return chosen.map((one) => ({ ask: one.wish(world), process: one.process }))
}

const one = request.map((chosen) =>
  command('ask', chosen, async (_model, world) => {
    await prove(world, await askAll(world, toRequests(world, [chosen])))
  }),
)

const batch = fc
  .array(request, { minLength: 2, maxLength: 8 })
  .map((chosen) =>
    command('askAtOnce', chosen, async (_model, world) => await atOnce(world, chosen)),
  )

/** Beside them others read: what they see is sound and never negative. */
async function atOnce(world: World, chosen: readonly Chosen[]): Promise<void> {
  const watcher = world.newProcess()
  const over = new AbortController()
  const watch = async () => {
    for (let count = 0; count < 5 && !over.signal.aborted; count += 1) {
      for (const id of world.accountIds) {
        const { availableMicroCredits, heldMicroCredits } = await watcher.accounts.balanceOf(id)
        assert.ok(Math.min(availableMicroCredits, heldMicroCredits) >= 0)
      }
    }
  }
  const watching = watch()
  const asked = await askAll(world, toRequests(world, chosen))
  over.abort()
  await watching
  await prove(world, asked)
}

const struck = fc
  .record({ requests: fc.array(request, { minLength: 1, maxLength: 4 }), fault: death })
  .map((chosen) =>
    command('askAndStrike', chosen, async (_model, world) => {
      const [first] = chosen.requests
      const planned = { process: first?.process ?? 0, fault: chosen.fault }
      await prove(world, await askAll(world, toRequests(world, chosen.requests), planned))
    }),
  )

const finalKinds = new Set(['Issued', 'Adjusted', 'Settled', 'Voided', 'Expired'])

function isFinal({ answer }: Asked): boolean {
  return finalKinds.has(answer.kind) || (answer.kind === 'Moved' && answer['microCredits'] !== 0)
}

/** The same answer as the first time. */
const replay = fc.record({ back: fc.nat(200), process }).map((chosen) =>
  command('replay', chosen, async (_model, world) => {
    const earlier = world.history[chosen.back % Math.max(1, world.history.length)]
    if (earlier === undefined) return
    const asked = await askAll(world, [{ ask: earlier.ask, process: chosen.process }])
    if (isFinal(earlier)) assert.deepEqual(asked[0]?.answer, earlier.answer)
    await prove(world, asked)
  }),
)

/** Refused, and nothing changes. */
const otherBody = fc.record({ back: fc.nat(200), process }).map((chosen) =>
  command('otherBody', chosen, async (_model, world) => {
    const bodied = world.history.filter((asked) => isFinal(asked) && other(asked.ask) !== null)
    const ask = other(bodied[chosen.back % Math.max(1, bodied.length)]?.ask)
    if (ask === null) return
    const seq = world.models.get(ask.accountId)?.seq
    const asked = await askAll(world, [{ ask, process: chosen.process }])
    assert.deepEqual(asked[0]?.answer, { kind: 'Mismatch' })
    await prove(world, asked)
    assert.equal(world.models.get(ask.accountId)?.seq, seq)
  }),
)

function other(ask: Ask | undefined): Ask | null {
  if (ask?.kind === 'issue' || ask?.kind === 'adjust') {
    return { ...ask, microCredits: ask.microCredits + 1 }
  }
  if (ask?.kind !== 'transfer') return null
  const [first, ...rest] = ask.recipients
  if (first === undefined) return null
  return { ...ask, recipients: [{ ...first, microCredits: first.microCredits + 1 }, ...rest] }
}

const relay = fc.record({ process, fault: fc.option(death) }).map((chosen) =>
  command('relay', chosen, async (_model, world) => {
    await relayBy(world, chosen.process, chosen.fault)
    await prove(world, [])
  }),
)

const idle = process.map((index) =>
  command('idle', index, async (_model, world) => {
    await processOf(world, index).rest()
    await prove(world, [])
  }),
)

const clock = fc
  .integer({ min: -3_600_000, max: 3_600_000 })
  .map((ms) =>
    command('clock', ms, async (_model, world) => await Promise.resolve(world.advance(ms))),
  )

/** After it nothing that has lapsed is free. */
const sweep = process.map((index) =>
  command('sweep', index, async (_model, world) => {
    const asks = world.accountIds.map((accountId) => ({ kind: 'lapse', accountId }) as const)
    const asked = await askAll(world, [
      ...asks.map((ask) => ({ ask, process: index })),
      ...asks.map((ask) => ({ ask, process: index + 1 })),
    ])
    await prove(world, asked)
    for (const id of world.accountIds) {
      const { lots } = (await world.store.read(id)).account
      assert.ok(!lots.some((lot) => isLapsed(lot, world.nowMs())))
    }
  }),
)

/** Credits to begin with: a lot that never lapses, then one that does after half an hour. */
export async function fundAll(world: World): Promise<void> {
  for (const expiresMs of [null, world.nowMs() + 1_800_000]) {
    const requests = world.accountIds.map((accountId, index) => {
      const issueId = `${accountId}-${expiresMs ?? 'never'}`
      return {
        ask: { kind: 'issue', accountId, issueId, microCredits: 40, expiresMs },
        process: index,
      } as const
    })
    await prove(world, await askAll(world, requests))
  }
}

/** Everything that may happen to a ledger. */
export function ledgerCommands(maxCommands: number) {
  const weighted = { one: 6, batch: 4, struck: 4, replay: 2, otherBody: 1, relay: 2, rest: 1 }
  const any = fc.oneof(
    { weight: weighted.one, arbitrary: one },
    { weight: weighted.batch, arbitrary: batch },
    { weight: weighted.struck, arbitrary: struck },
    { weight: weighted.replay, arbitrary: replay },
    { weight: weighted.otherBody, arbitrary: otherBody },
    { weight: weighted.relay, arbitrary: relay },
    { weight: weighted.rest, arbitrary: idle },
    { weight: weighted.rest, arbitrary: clock },
    { weight: weighted.rest, arbitrary: sweep },
  )
  // Without a size there would be ten at most.
  return fc.commands([any], { maxCommands, size: 'max' })
}
