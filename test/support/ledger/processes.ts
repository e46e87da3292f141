import { createHash } from 'node:crypto'
import {
  type AccountService,
  openAccountService,
} from '../../../src/api/features/accounts/service.ts'
import type { AccountStore } from '../../../src/api/features/accounts/store.ts'
import { unreachable } from '../../../src/shared/assert.ts'
import { AppError, isAppError } from '../../../src/shared/errors.ts'
import type { Answer, Ask } from './model.ts'

export const hash = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What happens at a call to the database, before or after its effect. */
export type Fault = {
  /** Counted from 1, since the fault was planned. */
  readonly call: number
  readonly effect: 'Before' | 'After'
  /** The process ends, or is told that the database does not answer. */
  readonly outcome: 'Dies' | 'Fails'
}

/** One api process on a store that others use as well. */
export type LedgerProcess = {
  readonly accounts: AccountService
  readonly store: AccountStore
  readonly plan: (fault: Fault | null) => void
  /** Calls to the database since the last plan. */
  readonly calls: () => number
  readonly isDead: () => boolean
  /** Resolves when it has died. */
  readonly died: Promise<void>
  readonly kill: () => void
  /** Resolves when the database works on none of its calls: after its death none comes. */
  readonly quiet: () => Promise<void>
  /** Resolves when nothing waits in it, or it has died. */
  readonly rest: () => Promise<void>
}

export type Surroundings = {
  readonly nowMs: () => number
  readonly random: () => number
  readonly pause: (ms: number) => Promise<void>
}

const never = new Promise<never>(() => {})

export function openLedgerProcess(real: AccountStore, surroundings: Surroundings): LedgerProcess {
  const { promise: died, resolve: dieOnce } = Promise.withResolvers<void>()
  let [dead, calls] = [false, 0]
  let fault: Fault | null = null
  const running = new Set<Promise<unknown>>()
  const kill = () => {
    dead = true
    dieOnce()
  }
  const strike = async ({ outcome }: Fault) => {
    if (outcome === 'Fails') throw new AppError('platform.unavailable', 'an injected fault')
    kill()
    return await never
  }
  const call = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
    if (dead) return await never
    calls += 1
    const due = fault !== null && fault.call === calls ? fault : null
    if (due?.effect === 'Before') return await strike(due)
    const work = effect()
    const over = Promise.allSettled([work])
    running.add(over)
    const result = await work.finally(() => running.delete(over))
    if (due !== null) return await strike(due)
    return dead ? await never : result
  }
  const store = everyCall(real, call)
  const accounts = openAccountService({
    store,
    clock: { nowMs: surroundings.nowMs },
    hash,
    random: surroundings.random,
    pause: async (ms) => {
      await surroundings.pause(ms)
      if (dead) await never
    },
  })
  return {
    accounts,
    store,
    plan: (next) => {
      fault = next
      calls = 0
    },
    calls: () => calls,
    isDead: () => dead,
    died,
    kill,
    quiet: async () => void (await Promise.all(running)),
    rest: async () => await Promise.race([accounts.idle(), died]),
  }
}

type Caller = <Result>(effect: () => Promise<Result>) => Promise<Result>

function everyCall(real: AccountStore, call: Caller): AccountStore {
  return {
    read: async (...args) => await call(async () => await real.read(...args)),
    readMany: async (...args) => await call(async () => await real.readMany(...args)),
    write: async (...args) => await call(async () => await real.write(...args)),
    findEntries: async (...args) => await call(async () => await real.findEntries(...args)),
    findUnrelayed: async (...args) => await call(async () => await real.findUnrelayed(...args)),
    insertEntries: async (...args) => await call(async () => await real.insertEntries(...args)),
    dropFromOutboxes: async (...args) =>
      await call(async () => await real.dropFromOutboxes(...args)),
    page: async (...args) => await call(async () => await real.page(...args)),
    pageOfDepartment: async (...args) =>
      await call(async () => await real.pageOfDepartment(...args)),
    entriesOf: async (...args) => await call(async () => await real.entriesOf(...args)),
    entriesBefore: async (...args) => await call(async () => await real.entriesBefore(...args)),
  }
}

const note = { by: 'u-admin', reason: 'a test' } as const

/** Asks a process, and gives its answer in the words of the model. */
export async function perform({ accounts }: LedgerProcess, ask: Ask): Promise<Answer> {
  if ('jobId' in ask) return await performForJob(accounts, ask)
  switch (ask.kind) {
    case 'issue':
      return await issued(accounts, ask)
    case 'transfer':
      return withoutEntry(await accounts.transfer({ ...ask, kind: ask.how, note }))
    case 'recall':
      return withoutEntry(await accounts.recall({ ...ask, note }))
    case 'adjust':
      return await accounts.adjust({ ...ask, note })
    case 'lapse':
      return { kind: (await accounts.lapse(ask.accountId)) ? 'Lapsed' : 'NothingLapsed' }
    default:
      return unreachable(ask)
  }
}

type JobAsk = Extract<Ask, { readonly jobId: string }>

async function performForJob(accounts: AccountService, ask: JobAsk): Promise<Answer> {
  const { accountId, jobId } = ask
  switch (ask.kind) {
    case 'hold':
    case 'settle':
      return await accounts[ask.kind](accountId, jobId, ask.microCredits)
    case 'void':
    case 'expire':
      return await accounts[ask.kind](accountId, jobId)
    default:
      return unreachable(ask)
  }
}

async function issued(accounts: AccountService, ask: Extract<Ask, { kind: 'issue' }>) {
  try {
    const { issueTimeMs: timeMs } = await accounts.issue({ ...ask, note })
    return { kind: 'Issued', timeMs }
  } catch (error) {
    if (isAppError(error, 'idempotency.mismatch')) return { kind: 'Mismatch' }
    if (isAppError(error, 'credits.too_many_lots')) return { kind: 'TooManyLots' }
    throw error
  }
}

function withoutEntry(outcome: Answer & { readonly sent?: unknown }): Answer {
  const { sent: _, ...answer } = outcome
  return answer
}
