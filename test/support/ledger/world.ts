import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import type { AccountStore } from '../../../src/api/features/accounts/store.ts'
import type { Entry } from '../../../src/shared/domain/account-entry.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import type { Answer, Ask, ModelAccount, Piece } from './model.ts'
import { emptyModel } from './model.ts'
import {
  type Fault,
  type LedgerProcess,
  openLedgerProcess,
  perform,
  type Surroundings,
} from './processes.ts'

/** One store, the processes on it, and what it must look like. */
export type World = {
  /** Without faults, to look at it. */
  readonly store: AccountStore
  readonly prefix: string
  readonly accountIds: readonly string[]
  readonly processes: LedgerProcess[]
  readonly nowMs: () => number
  readonly advance: (ms: number) => void
  readonly newProcess: () => LedgerProcess
  readonly models: Map<string, ModelAccount>
  /** Sent and not received, by id of the receipt. */
  readonly inFlight: Map<string, { readonly accountId: string; readonly pieces: readonly Piece[] }>
  /** All entries that were ever seen, by account. */
  readonly chains: Map<string, readonly Entry[]>
  /** In the order in which they were asked. */
  readonly history: Asked[]
}

export type Asked = { readonly ask: Ask; readonly answer: Answer }

export type WorldParts = Omit<Surroundings, 'nowMs'> & {
  readonly store: AccountStore
  readonly prefix: string
  readonly processes: number
}

export function openWorld({ store, prefix, processes, ...parts }: WorldParts): World {
  let nowMs = 1_800_000_000_000
  const accountIds = [
    `department:${prefix}`,
    ...['a', 'b', 'c'].map((user) => `member:${prefix}:${user}`),
  ]
  const newProcess = () => openLedgerProcess(store, { ...parts, nowMs: () => nowMs })
  return {
    store,
    prefix,
    accountIds,
    processes: Array.from({ length: processes }, newProcess),
    nowMs: () => nowMs,
    advance: (ms) => {
      nowMs += ms
    },
    newProcess,
    models: new Map(accountIds.map((id) => [id, emptyModel(id)])),
    inFlight: new Map(),
    chains: new Map(accountIds.map((id) => [id, []])),
    history: [],
  }
}

export type Request = { readonly ask: Ask; readonly process: number }

/**
 * Asks all at once. Who was not answered, because the process died or could not reach the
 * database, asks again, as a client with its key does.
 */
export async function askAll(
  world: World,
  requests: readonly Request[],
  planned?: { readonly process: number; readonly fault: Fault },
): Promise<readonly Asked[]> {
  if (planned !== undefined) processOf(world, planned.process).plan(planned.fault)
  const asked = await Promise.all(
    requests.map(async ({ ask, process }) => ({ ask, answer: await answer(world, ask, process) })),
  )
  await bury(world)
  for (const process of world.processes) process.plan(null)
  world.history.push(...asked)
  return asked
}

export function processOf({ processes }: World, index: number): LedgerProcess {
  const process = processes[index % processes.length]
  if (process === undefined) throw new Error('a world has processes')
  return process
}

async function answer(world: World, ask: Ask, index: number): Promise<Answer> {
  for (let tries = 0; tries < 4; tries += 1) {
    const process = processOf(world, index + tries)
    // Of a process that is dead nobody is answered: its promises stay open.
    const given = await Promise.race([tryOnce(process, ask), process.died.then(() => null)])
    if (given !== null) return given
  }
  throw new Error(`${JSON.stringify(ask)} was never answered`)
}

async function tryOnce(process: LedgerProcess, ask: Ask): Promise<Answer | null> {
  try {
    return await perform(process, ask)
  } catch (error) {
    if (isAppError(error, 'platform.unavailable')) return null
    throw error
  }
}

/** New processes for those that died, once the database has done what they asked of it. */
export async function bury(world: World): Promise<void> {
  for (const [index, process] of world.processes.entries()) {
    if (!process.isDead()) continue
    await process.quiet()
    world.processes[index] = world.newProcess()
  }
}

/** One pass of the relay by one process, which may die of it. The number of its calls. */
export async function relayBy(world: World, index: number, fault: Fault | null): Promise<number> {
  const process = processOf(world, index)
  process.plan(fault)
  const { store, accounts } = process
  const pass = relayOutboxes({ store, receive: accounts.receive }).catch((error: unknown) => {
    if (!isAppError(error, 'platform.unavailable')) throw error
  })
  await Promise.race([pass, process.died])
  const calls = process.calls()
  process.plan(null)
  await bury(world)
  return calls
}
