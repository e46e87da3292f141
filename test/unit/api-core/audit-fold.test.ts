import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { startFold } from '../../../src/api/tasks/audit/fold.ts'
import { type Account, emptyAccount } from '../../../src/shared/domain/account.ts'
import { endHold, holdCredits, lapseCredits } from '../../../src/shared/domain/account-change.ts'
import {
  type Change,
  type ChangeContext,
  endings,
  type Entry,
  entryHash,
  entryKinds,
} from '../../../src/shared/domain/account-entry.ts'
import {
  adjustCredits,
  issueCredits,
  receiveCredits,
  sendCredits,
  takenBy,
} from '../../../src/shared/domain/account-movement.ts'
import { longTests } from '../../support/long.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const numRuns = longTests ? 1000 : 100
const accountId = 'member:d:a'

type Command = {
  readonly kind: 'Issue' | 'Hold' | 'End' | 'Send' | 'Receive' | 'Lapse' | 'Adjust' | 'Wait'
  /** Picks a job, an entry or an expiry. */
  readonly pick: number
  readonly microCredits: number
}

type Ledger = { readonly account: Account; readonly entries: readonly Entry[] }

const empty: Ledger = { account: emptyAccount(accountId), entries: [] }

const commands = fc.array(
  fc.record<Command>({
    kind: fc.constantFrom('Issue', 'Hold', 'End', 'Send', 'Receive', 'Lapse', 'Adjust', 'Wait'),
    pick: fc.nat(5),
    microCredits: fc.integer({ min: 1, max: 60 }),
  }),
  { minLength: 5, maxLength: 50 },
)

/** An adjustment needs something spent, a lapse a wait: a hundred random runs may do without. */
const withRareEntries: Command[] = [
  { kind: 'Issue', pick: 5, microCredits: 20 },
  { kind: 'Hold', pick: 0, microCredits: 5 },
  { kind: 'End', pick: 0, microCredits: 2 },
  { kind: 'Adjust', pick: 0, microCredits: 1 },
  { kind: 'Issue', pick: 0, microCredits: 20 },
  { kind: 'Wait', pick: 0, microCredits: 1 },
  { kind: 'Wait', pick: 0, microCredits: 1 },
  { kind: 'Lapse', pick: 0, microCredits: 1 },
]

/** Does what commands say with the functions of the ledger, as far as they agree to. */
function replay(all: readonly Command[]): Ledger {
  let ledger = empty
  let nowMs = 0
  for (const [index, command] of all.entries()) {
    nowMs += command.kind === 'Wait' ? 50_000 : 1
    const change = changeOf(ledger, command, { index, nowMs })
    if (change === null) continue
    ledger = { account: change.account, entries: [...ledger.entries, change.entry] }
  }
  return ledger
}

type Moment = { readonly index: number; readonly nowMs: number }
type Step = Command & Ledger & { readonly id: string; readonly context: ChangeContext }

function changeOf(ledger: Ledger, command: Command, { index, nowMs }: Moment): Change | null {
  const step = { ...ledger, ...command, id: `x${index}`, context: { nowMs, hash } }
  return steps[command.kind](step)
}

const steps: Readonly<Record<Command['kind'], (step: Step) => Change | null>> = {
  Issue: ({ account, id: issueId, pick, microCredits, context }) => {
    const expiresMs = pick < 3 ? context.nowMs + 40_000 * (pick + 1) : null
    return issueCredits(account, { issueId, microCredits, expiresMs }, context)
  },
  Receive: ({ account, id: transferId, pick, microCredits, context }) => {
    const lot = { issueId: `l${pick}`, microCredits, expiresMs: null }
    const other = issueCredits(emptyAccount('department:d'), lot, context)
    if (other === null) return null
    const recipients = [{ accountId, microCredits }]
    const wish = { transferId, kind: 'Distribute', recipients } as const
    const sent = sendCredits(other.account, wish, context)
    return sent.kind === 'Moved' ? receiveCredits(account, sent.entry, context) : null
  },
  Hold: ({ account, id: jobId, microCredits, context }) =>
    changed(holdCredits(account, { jobId, microCredits }, context)),
  End: ({ account, pick, microCredits, context }) => {
    const hold = account.holds[pick % Math.max(1, account.holds.length)]
    const ending = endings[pick % 3] ?? 'Void'
    const amount = ending === 'Settle' ? microCredits : 0
    if (hold === undefined) return null
    const request = { jobId: hold.jobId, ending, microCredits: amount }
    return changed(endHold(account, request, context))
  },
  Send: ({ account, id: transferId, pick, microCredits, context }) => {
    const recipients = [
      { accountId: pick === 0 ? null : 'department:d', microCredits },
      { accountId: 'department:e', microCredits: 1 },
    ]
    return changed(sendCredits(account, { transferId, kind: 'Revoke', recipients }, context))
  },
  Lapse: ({ account, context }) => lapseCredits(account, context),
  Adjust: ({ account, entries, context }) => {
    const done = new Set(entries.map(({ _id }) => _id))
    const entry = entries.find((one) => {
      const { spent, expired } = takenBy(one)
      return one.kind !== 'Adjust' && spent + expired > 0 && !done.has(`${one._id}:adjust`)
    })
    if (entry === undefined) return null
    const note = { by: 'u', reason: 'r' }
    return adjustCredits(account, { entry, microCredits: 1, expiresMs: null, note }, context)
  },
  Wait: () => null,
}

function changed(decision: ({ readonly kind: string } & Partial<Change>) | null): Change | null {
  const { account, entry } = decision ?? {}
  return account === undefined || entry === undefined ? null : { account, entry }
}

function differences({ account, entries }: Ledger) {
  const fold = startFold(account._id)
  for (const entry of entries) fold.take(entry)
  return fold.compare(account)
}

function kindsOf(ledger: Ledger) {
  return differences(ledger).map(({ kind }) => kind)
}

const postings = (change: Partial<Entry['postings'][number]>) => (entry: Entry) => {
  return { ...entry, postings: entry.postings.map((one) => ({ ...one, ...change })) }
}

/** Seals a chain anew, as somebody who knows how it is made would. */
function reseal(entries: readonly Entry[]): readonly Entry[] {
  let previousHash = ''
  return entries.map(({ hash: _hash, ...rest }, index) => {
    const unsealed = { ...rest, seq: index + 1, previousHash }
    previousHash = entryHash(unsealed, hash)
    return { ...unsealed, hash: previousHash }
  })
}

describe('the second implementation', () => {
  it('agrees with the ledger whatever was done', () => {
    const seen = new Set<string>()
    fc.assert(
      fc.property(commands, (all) => {
        const ledger = replay(all)
        for (const { kind } of ledger.entries) seen.add(kind)
        expect(differences(ledger)).toEqual([])
      }),
      { numRuns, examples: [[withRareEntries]] },
    )
    const never = entryKinds.filter((kind) => !seen.has(kind) && kind !== 'Distribute')
    expect(never).toEqual([])
  })

  it('agrees also when it takes up where it stopped', () => {
    const { account, entries } = replay(withRareEntries)
    const fold = startFold(accountId)
    for (const [index, entry] of entries.entries()) {
      fold.take(entry)
      expect(fold.seq()).toBe(index + 1)
    }
    expect(fold.compare(account)).toEqual([])
    expect(fold.compare(account)).toEqual([])
  })
})

type Edit = (entries: readonly Entry[], index: number) => readonly Entry[]

const changeAt = (change: (entry: Entry) => Entry): Edit => {
  return (entries, index) =>
    entries.map((entry, place) => (place === index ? change(entry) : entry))
}

const edits: Readonly<Record<string, Edit>> = {
  'an amount': changeAt((entry) => {
    const [first, ...rest] = entry.postings
    if (first === undefined) return { ...entry, timeMs: entry.timeMs + 1 }
    return { ...entry, postings: [{ ...first, microCredits: first.microCredits + 1 }, ...rest] }
  }),
  'a number': changeAt((entry) => ({ ...entry, seq: entry.seq + 1 })),
  'a kind': changeAt((entry) => ({ ...entry, kind: entry.kind === 'Void' ? 'Expire' : 'Void' })),
  'a job': changeAt((entry) => ({ ...entry, jobId: `${entry.jobId}?` })),
  'a time': changeAt((entry) => ({ ...entry, timeMs: entry.timeMs + 1 })),
  'a hash': changeAt((entry) => ({ ...entry, hash: hash(entry.hash) })),
  'that there is an entry': (entries, index) => entries.toSpliced(index, 1),
  'how often there is an entry': (entries, index) =>
    entries.flatMap((entry, place) => (place === index ? [entry, entry] : [entry])),
}

describe('an entry that somebody edited', () => {
  it.each(Object.entries(edits))('is found by %s', (_name, edit) => {
    fc.assert(
      fc.property(commands, fc.nat(), (all, at) => {
        const { account, entries } = replay(all)
        if (entries.length === 0) return
        const edited = edit(entries, at % entries.length)
        expect(differences({ account, entries: edited })).not.toEqual([])
      }),
      { numRuns },
    )
  })

  it.each(['an amount', 'a kind', 'a job', 'that there is an entry'])(
    'is found by %s also when the chain is sealed anew up to the account',
    (name) => {
      fc.assert(
        fc.property(commands, fc.nat(), (all, at) => {
          const { account, entries } = replay(all)
          const index = at % Math.max(1, entries.length)
          if (entries[index] === undefined) return
          // An edit that leaves all sums as they are, as of a hold of nothing, is no other account.
          if (entries[index].postings.length === 0) return
          const edited = reseal(edits[name]?.(entries, index) ?? [])
          const chain = edited.at(-1)?.hash ?? ''
          const forged = { ...account, chain, seq: edited.length }
          expect(differences({ account: forged, entries: edited })).not.toEqual([])
        }),
        { numRuns },
      )
    },
  )
})

describe('one error is one difference', () => {
  const ledger = replay([
    { kind: 'Issue', pick: 5, microCredits: 50 },
    { kind: 'Hold', pick: 0, microCredits: 9 },
    { kind: 'End', pick: 0, microCredits: 4 },
    { kind: 'Hold', pick: 0, microCredits: 8 },
    { kind: 'Send', pick: 1, microCredits: 3 },
  ])
  const { account, entries } = ledger
  const edit = (change: (entry: Entry) => Entry) => {
    const edited = reseal(changeAt(change)(entries, 1))
    const chain = edited.at(-1)?.hash ?? ''
    return kindsOf({ account: { ...account, chain }, entries: edited })
  }

  it('is a missing entry in the middle and at the end', () => {
    expect(kindsOf({ account, entries: entries.toSpliced(2, 1) })).toEqual(['EntryMissing'])
    expect(kindsOf({ account, entries: entries.slice(0, -1) })).toEqual(['EntryMissing'])
    expect(kindsOf({ account, entries: [] })).toEqual(['EntryMissing'])
  })

  it('is a hold that ends twice', () => {
    const settled = entries[2]
    if (settled === undefined) throw new Error('there is a settlement')
    const again = { ...settled, _id: `${settled.jobId}:expire`, kind: 'Expire' as const }
    const edited = reseal([...entries, again])
    const forged = { ...account, seq: edited.length, chain: edited.at(-1)?.hash ?? '' }
    expect(kindsOf({ account: forged, entries: edited })).toEqual(['DoubleEnding'])
  })

  it('is a sum, a lot or a hold that is not what the entries make it', () => {
    const { totals, lots, holds } = account
    const wrong: readonly Account[] = [
      { ...account, totals: { ...totals, spent: totals.spent + 1 } },
      { ...account, lots: lots.map((lot) => ({ ...lot, expiresMs: 1 })) },
      { ...account, lots: [] },
      { ...account, lots: [...lots, ...lots] },
      { ...account, holds: [] },
      { ...account, holds: [...holds, ...holds] },
      { ...account, holds: holds.map((hold) => ({ ...hold, microCredits: 1 })) },
      { ...account, holds: holds.map((hold) => ({ ...hold, jobId: 'other' })) },
    ]
    for (const one of wrong) expect(kindsOf({ account: one, entries })).toEqual(['WrongSum'])
  })

  it('is a chain that the account does not end', () => {
    expect(kindsOf({ account: { ...account, chain: hash('x') }, entries })).toEqual(['ChainBroken'])
  })

  it('is an entry of another account, sides that do not exist and what had expired', () => {
    expect(edit((entry) => ({ ...entry, accountId: 'member:d:b' }))).toEqual(['ChainBroken'])
    expect(edit((entry) => ({ ...entry, _id: 'other:hold' }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ credit: 'system/nowhere' }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ credit: 'system/revenue' }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ expiresMs: 1 }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ microCredits: 0 }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ microCredits: 51 }))).toEqual(['EntryInvalid'])
    expect(edit(postings({ microCredits: 8 }))).toEqual(['EntryInvalid'])
  })
})
