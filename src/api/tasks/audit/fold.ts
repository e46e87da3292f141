import type { Entry, Posting } from '../../../shared/domain/account-entry.ts'
import type { Account } from '../../../shared/domain/account.ts'
import type { Difference } from '../../../shared/domain/audit-differences.ts'
import { emptyFolded, type Folded, type FoldedLots } from './folded.ts'
import { entryFault, type Movement, movementsOf } from './movement-rules.ts'
import { sealOf } from './seal-of.ts'
import type { SeqRange } from './store.ts'

/**
 * The second implementation of the ledger: an account as its entries alone make it. It shares types
 * with the first (`shared/domain/account*.ts`) and none of its functions, so that one error cannot
 * hide in both.
 *
 * Every event sums to zero by itself: a posting takes from one side what it brings to another. What
 * has to be checked is that an account's own sides never fall below zero and end where it says.
 */
export type Fold = {
  /** Number of the newest entry that was taken. */
  readonly seq: () => number
  /** Where the first wrong entry lies; null when none was wrong. */
  readonly fault: () => Fault | null
  /** Takes the next entry; what is wrong with it is kept for `compare`. */
  readonly take: (entry: Entry) => void
  /**
   * Everything that was wrong with the entries, or else everything in which the account differs
   * from them: after a wrong entry every sum is wrong, and one cause is one difference.
   */
  readonly compare: (account: Account) => readonly Difference[]
}

/** A wrong entry and the one before it, which were all that lay in the range. */
export type Fault = SeqRange & { readonly entries: readonly Entry[] }

const faultsMax = 100

export function startFold(accountId: string): Fold {
  const folded = emptyFolded(accountId)
  const faults: Difference[] = []
  let seq = 0
  let chain = ''
  let last: Entry | null = null
  let first: Fault | null = null
  const report = (fault: Difference | null, entry: Entry) => {
    if (fault === null) return
    first ??= faultAt(last, entry)
    if (faults.length < faultsMax) faults.push(fault)
  }
  return {
    seq: () => seq,
    fault: () => first,
    take: (entry) => {
      report(linkFault(entry, { accountId, seq, chain }), entry)
      if (entry.seq > seq) {
        seq = entry.seq
        chain = entry.hash
      }
      if (faults.length === 0) {
        const fault = entryFault(folded, entry)
        if (fault === null) apply(folded, entry)
        else report(fault, entry)
      }
      last = entry
    },
    compare: (account) => {
      const end = account.seq === seq ? [] : [missing(accountId, seq + 1, account.seq)]
      if (faults.length + end.length > 0) return [...faults, ...end]
      return accountFaults(folded, account, chain)
    },
  }
}

function faultAt(last: Entry | null, wrong: Entry): Fault {
  const range = { after: last === null ? 0 : last.seq - 1, until: wrong.seq }
  return { ...range, entries: last === null ? [wrong] : [last, wrong] }
}

type End = { readonly accountId: string; readonly seq: number; readonly chain: string }

/** What is wrong between an entry and the one before it. A gap says nothing about the chain. */
function linkFault(entry: Entry, { accountId, seq, chain }: End): Difference | null {
  const broken = (message: string) => ({ kind: 'ChainBroken', id: entry._id, message }) as const
  if (entry.seq > seq + 1) return missing(accountId, seq + 1, entry.seq - 1)
  if (entry.seq <= seq) return broken(`it is another entry with number ${entry.seq}`)
  if (entry.accountId !== accountId) return broken(`it is not of ${accountId}`)
  if (entry.previousHash !== chain) return broken('it does not follow the entry before it')
  return sealOf(entry) === entry.hash ? null : broken('it is not what it was when written')
}

function missing(accountId: string, first: number, last: number): Difference {
  const message = `no entries ${first} to ${last}: what came after them is not checked`
  return { kind: 'EntryMissing', id: accountId, message }
}

function apply(folded: Folded, entry: Entry): void {
  const { holds, totals } = folded
  const { jobId, kind } = entry
  if (kind === 'Hold' && jobId !== null) holds.set(jobId, new Map())
  for (const movement of movementsOf(folded.accountId, entry)) {
    const { posting, takes, brings } = movement
    totals[takes.total] += takes.sign * posting.microCredits
    totals[brings.total] += brings.sign * posting.microCredits
    movePieces(folded, movement, jobId)
  }
  const isEnding = kind === 'Settle' || kind === 'Void' || kind === 'Expire'
  if (isEnding && jobId !== null) holds.delete(jobId)
}

/** A hold is dissolved as a whole when it ends, so what leaves it is not taken from it here. */
function movePieces(
  { lots, holds }: Folded,
  { posting, from, to }: Movement,
  jobId: string | null,
): void {
  if (from === 'Available') add(lots, posting, -posting.microCredits)
  if (to === 'Available') add(lots, posting, posting.microCredits)
  const hold = jobId === null ? undefined : holds.get(jobId)
  if (to === 'Held' && hold !== undefined) add(hold, posting, posting.microCredits)
}

function add(lots: FoldedLots, { lotId, expiresMs }: Posting, microCredits: number): void {
  const sum = (lots.get(lotId)?.microCredits ?? 0) + microCredits
  if (sum === 0) lots.delete(lotId)
  else lots.set(lotId, { microCredits: sum, expiresMs })
}

const namedMax = 5

function accountFaults(folded: Folded, account: Account, chain: string): readonly Difference[] {
  const id = folded.accountId
  if (account.chain !== chain) {
    const message = 'the account names another newest entry'
    return [{ kind: 'ChainBroken', id, message }]
  }
  const wrong = [
    ...totalFaults(folded, account),
    ...lotFaults('lot', folded.lots, account.lots),
    ...holdFaults(folded, account),
  ]
  if (wrong.length === 0) return []
  return [{ kind: 'WrongSum', id, message: wrong.slice(0, namedMax).join('; ') }]
}

function totalFaults({ totals }: Folded, account: Account): readonly string[] {
  const names = new Map<string, number>(Object.entries(account.totals))
  return Object.entries(totals)
    .filter(([name, sum]) => names.get(name) !== sum)
    .map(([name, sum]) => `${name} is ${names.get(name)}, the entries say ${sum}`)
}

function lotFaults(name: string, folded: FoldedLots, lots: Account['lots']): readonly string[] {
  const differing = lots.filter(({ id, microCredits, expiresMs }) => {
    const known = folded.get(id)
    return known?.microCredits !== microCredits || known.expiresMs !== expiresMs
  })
  const ids = new Set(lots.map(({ id }) => id))
  const absent = [...folded.keys()].filter((id) => !ids.has(id))
  const twice = ids.size === lots.length ? [] : [`a ${name} is there twice`]
  return [
    ...twice,
    ...differing.map(({ id, microCredits }) => {
      return `${name} ${id} has ${microCredits}, the entries say ${folded.get(id)?.microCredits}`
    }),
    ...absent.map((id) => `${name} ${id} is missing`),
  ]
}

function holdFaults({ holds }: Folded, account: Account): readonly string[] {
  const ids = new Set(account.holds.map(({ jobId }) => jobId))
  const absent = [...holds.keys()].filter((id) => !ids.has(id))
  const twice = ids.size === account.holds.length ? [] : ['a job has two holds']
  return [
    ...twice,
    ...absent.map((id) => `the hold of ${id} is missing`),
    ...account.holds.flatMap(({ jobId, microCredits, parts }) => {
      const hold = holds.get(jobId)
      if (hold === undefined) return [`the entries have no open hold of ${jobId}`]
      const sum = [...hold.values()].reduce((total, lot) => total + lot.microCredits, 0)
      const amount = sum === microCredits ? [] : [`the hold of ${jobId} is not ${sum}`]
      return [...amount, ...lotFaults(`hold ${jobId}, part`, hold, parts)]
    }),
  ]
}
