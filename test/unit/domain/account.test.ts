import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  type Account,
  accountFaults,
  accountLimits,
  emptyAccount,
} from '../../../src/shared/domain/account.ts'
import { endHold, holdCredits, lapseCredits } from '../../../src/shared/domain/account-change.ts'
import { issueCredits as tryIssue } from '../../../src/shared/domain/account-movement.ts'
import {
  type Change,
  chargedBy,
  type ChangeContext,
  type Ending,
  endings,
  type Entry,
  isChain,
  sides,
} from '../../../src/shared/domain/account-entry.ts'
import { longTests } from '../../support/long.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const at = (nowMs: number): ChangeContext => ({ nowMs, hash })
const numRuns = longTests ? 1000 : 100

function issueCredits(...args: Parameters<typeof tryIssue>): Change {
  const change = tryIssue(...args)
  if (change === null) throw new Error('the account takes no more lots')
  return change
}

function funded(microCredits: number, expiresMs: number | null = null): Account {
  return issueCredits(emptyAccount('member:d:a'), { issueId: 'i', microCredits, expiresMs }, at(0))
    .account
}

function held(account: Account, jobId: string, microCredits: number): Account {
  const decision = holdCredits(account, { jobId, microCredits }, at(1))
  if (decision.kind !== 'Held') throw new Error(`not held: ${decision.kind}`)
  return decision.account
}

function ended(account: Account, ending: Ending, microCredits = 0) {
  const decision = endHold(account, { jobId: 'j', ending, microCredits }, at(2))
  if (decision.kind !== 'Ended') throw new Error('there is no hold')
  return decision
}

describe('an account', () => {
  it('refuses a hold above what is available and says how much is missing', () => {
    const decision = holdCredits(funded(10), { jobId: 'j', microCredits: 11 }, at(1))
    expect(decision).toEqual({
      kind: 'Insufficient',
      missingMicroCredits: 1,
      availableMicroCredits: 10,
    })
  })

  it('holds all it has, to the last micro-credit, and nothing after that', () => {
    const account = held(funded(10), 'j', 10)
    expect(account.totals).toMatchObject({ available: 0, held: 10 })
    expect(holdCredits(account, { jobId: 'k', microCredits: 1 }, at(1)).kind).toBe('Insufficient')
    expect(holdCredits(account, { jobId: 'k', microCredits: 0 }, at(1)).kind).toBe('Held')
  })

  it('answers a second hold of one job with the first', () => {
    const account = held(funded(10), 'j', 4)
    const again = holdCredits(account, { jobId: 'j', microCredits: 4 }, at(1))
    expect(again).toMatchObject({ kind: 'AlreadyHeld', hold: { microCredits: 4 } })
  })

  it('charges at most what is held and gives the rest back', () => {
    const account = held(funded(10), 'j', 6)
    expect(ended(account, 'Settle', 4).account.totals).toMatchObject({
      available: 6,
      spent: 4,
    })
    const over = ended(account, 'Settle', 99)
    expect(over.chargedMicroCredits).toBe(6)
    expect(chargedBy(over.entry)).toBe(6)
  })

  it('ends a hold only once', () => {
    const { account } = ended(held(funded(10), 'j', 6), 'Void')
    expect(account.totals).toMatchObject({ available: 10, held: 0, spent: 0 })
    const again = endHold(account, { jobId: 'j', ending: 'Settle', microCredits: 6 }, at(3))
    expect(again.kind).toBe('NoHold')
  })

  it('spends what lapses first', () => {
    const later = issueCredits(funded(5), { issueId: 'b', microCredits: 5, expiresMs: 900 }, at(0))
    const sooner = { issueId: 'c', microCredits: 5, expiresMs: 500 }
    const account = held(issueCredits(later.account, sooner, at(0)).account, 'j', 7)
    expect(account.holds[0]?.parts).toEqual([
      { id: 'c', microCredits: 5, expiresMs: 500 },
      { id: 'b', microCredits: 2, expiresMs: 900 },
    ])
  })

  it('does not hold lapsed credits and books them off after the tolerance', () => {
    const account = funded(5, 100)
    expect(holdCredits(account, { jobId: 'j', microCredits: 5 }, at(100)).kind).toBe('Insufficient')
    expect(lapseCredits(account, at(100 + accountLimits.toleranceMs - 1))).toBeNull()
    const lapsed = lapseCredits(account, at(100 + accountLimits.toleranceMs))
    expect(lapsed?.account.totals).toMatchObject({ available: 0, expired: 5 })
    expect(lapsed?.account.lots).toEqual([])
  })

  it('never lapses what a job holds; a refund to a lapsed lot goes to the system', () => {
    const account = held(funded(5, 100), 'j', 3)
    const late = at(100 + accountLimits.toleranceMs)
    const lapsed = lapseCredits(account, late)
    expect(lapsed?.account.totals).toMatchObject({ available: 0, held: 3, expired: 2 })
    const settle = { jobId: 'j', ending: 'Settle', microCredits: 1 } as const
    const decision = endHold(lapsed?.account ?? account, settle, late)
    expect(decision).toMatchObject({
      kind: 'Ended',
      account: { totals: { held: 0, spent: 1, expired: 4, available: 0 }, lots: [] },
    })
  })

  it('has at most 1,000 open holds', () => {
    let account = funded(5)
    for (let index = 0; index < accountLimits.openHoldsMax; index += 1) {
      account = held(account, `j${index}`, 0)
    }
    expect(holdCredits(account, { jobId: 'more', microCredits: 0 }, at(1)).kind).toBe('HoldLimit')
  })

  it('never changes its argument', () => {
    const account = Object.freeze(funded(10))
    Object.freeze(account.totals)
    held(account, 'j', 3)
    expect(account.totals.available).toBe(10)
  })
})

describe('a chain of entries', () => {
  it('is broken by any change to any entry', () => {
    const first = issueCredits(
      emptyAccount('a'),
      { issueId: 'i', microCredits: 9, expiresMs: null },
      at(0),
    )
    const second = holdCredits(first.account, { jobId: 'j', microCredits: 4 }, at(1))
    if (second.kind !== 'Held') throw new Error('not held')
    const entries = [first.entry, second.entry]
    expect(isChain(entries, hash)).toBe(true)
    const forged = { ...first.entry, timeMs: 5 }
    expect(isChain([forged, second.entry], hash)).toBe(false)
    expect(isChain([second.entry], hash)).toBe(false)
    expect(isChain([second.entry, first.entry], hash)).toBe(false)
  })
})

type Command =
  | { readonly kind: 'issue'; readonly amount: number; readonly lifeMs: number | null }
  | { readonly kind: 'hold'; readonly job: number; readonly amount: number }
  | { readonly kind: 'end'; readonly job: number; readonly ending: Ending; readonly amount: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'lapse' }

const job = fc.integer({ min: 0, max: 5 })
const amount = fc.integer({ min: 0, max: 1_000_000 })
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constant('issue' as const),
    amount: fc.integer({ min: 1, max: 2_000_000 }),
    lifeMs: fc.option(fc.integer({ min: 1, max: 200_000 })),
  }),
  fc.record({ kind: fc.constant('hold' as const), job, amount }),
  fc.record({
    kind: fc.constant('end' as const),
    job,
    ending: fc.constantFrom(...endings),
    amount,
  }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: -90_000, max: 120_000 }) }),
  fc.record({ kind: fc.constant('lapse' as const) }),
)

type State = { account: Account; nowMs: number; readonly entries: Entry[]; issues: number }

function run(state: State, step: Command): void {
  const change = changeOf(state, step)
  if (change === null) return
  state.account = change.account
  state.entries.push(change.entry)
}

function changeOf(state: State, step: Command): Change | null {
  const context = at(state.nowMs)
  if (step.kind === 'pass') state.nowMs += step.ms
  if (step.kind === 'lapse') return lapseCredits(state.account, context)
  if (step.kind === 'issue') {
    state.issues += 1
    const expiresMs = step.lifeMs === null ? null : state.nowMs + step.lifeMs
    const issue = { issueId: `i${state.issues}`, microCredits: step.amount, expiresMs }
    return issueCredits(state.account, issue, context)
  }
  if (step.kind === 'hold') {
    const request = { jobId: `j${step.job}`, microCredits: step.amount }
    const decision = holdCredits(state.account, request, context)
    return decision.kind === 'Held' ? decision : null
  }
  if (step.kind !== 'end') return null
  const microCredits = step.ending === 'Settle' ? step.amount : 0
  const request = { jobId: `j${step.job}`, ending: step.ending, microCredits }
  const decision = endHold(state.account, request, context)
  return decision.kind === 'Ended' ? decision : null
}

/** Sum of all sides over all entries: every movement takes from one what it gives to another. */
function sideSums(entries: readonly Entry[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { debit, credit, microCredits } of entries.flatMap(({ postings }) => postings)) {
    sums.set(debit, (sums.get(debit) ?? 0) - microCredits)
    sums.set(credit, (sums.get(credit) ?? 0) + microCredits)
  }
  return sums
}

describe('any sequence of changes', () => {
  it('keeps the document sound, the chain whole and both sides equal', () => {
    const property = fc.property(fc.array(command, { maxLength: 60 }), (steps) => {
      const state: State = { account: emptyAccount('member:d:a'), nowMs: 0, entries: [], issues: 0 }
      for (const step of steps) {
        run(state, step)
        expect(accountFaults(state.account)).toEqual([])
      }
      const { account, entries } = state
      expect(isChain(entries, hash)).toBe(true)
      expect(account.seq).toBe(entries.length)
      expect(account.chain).toBe(entries.at(-1)?.hash ?? '')
      const sums = sideSums(entries)
      expect([...sums.values()].reduce((total, sum) => total + sum, 0)).toBe(0)
      expect(sums.get(sides.available('member:d:a')) ?? 0).toBe(account.totals.available)
      expect(sums.get(sides.held('member:d:a')) ?? 0).toBe(account.totals.held)
      expect(sums.get(sides.revenue) ?? 0).toBe(account.totals.spent)
      expect(sums.get(sides.expired) ?? 0).toBe(account.totals.expired)
    })
    fc.assert(property, { numRuns })
  })
})

const capOf = (jobsMax: number, counts: 'All' | 'Waiting', running: readonly string[] = []) => ({
  jobsMax,
  counts,
  runningJobIds: new Set(running),
})

const outcomeOf = (account: Account, asked: ReturnType<typeof capOf>) =>
  holdCredits(account, { jobId: 'new', microCredits: 1, cap: asked }, at(2)).kind

describe('a cap of open jobs', () => {
  const account = held(held(funded(10), 'a', 1), 'b', 1)

  it.each([
    ['All', 3, [], 'Held'],
    ['All', 2, [], 'OverCap'],
    ['All', 2, ['a'], 'OverCap'],
    ['Waiting', 2, [], 'OverCap'],
    ['Waiting', 2, ['a'], 'Held'],
    ['Waiting', 1, ['a', 'b'], 'Held'],
    ['Waiting', 0, ['a', 'b'], 'OverCap'],
    // Ended meanwhile: its hold is gone, so it makes no room.
    ['Waiting', 2, ['gone'], 'OverCap'],
  ] as const)('that counts %s up to %i while %j run: %s', (...[counts, jobsMax, running, kind]) => {
    expect(outcomeOf(account, capOf(jobsMax, counts, running))).toBe(kind)
  })

  it('says how many run and wait', () => {
    const wish = { jobId: 'new', microCredits: 1, cap: capOf(1, 'All', ['a']) }
    expect(holdCredits(account, wish, at(2))).toEqual({ kind: 'OverCap', running: 1, waiting: 1 })
  })

  it('does not count a job again that has its hold', () => {
    const wish = { jobId: 'a', microCredits: 1, cap: capOf(0, 'All') }
    expect(holdCredits(account, wish, at(2)).kind).toBe('AlreadyHeld')
  })
})
