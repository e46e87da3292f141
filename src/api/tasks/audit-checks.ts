import { unreachable } from '../../shared/assert.ts'
import { type Account, accountFaults } from '../../shared/domain/account.ts'
import {
  chargedBy,
  endings,
  type Entry,
  entryId,
  type Hash,
  isChain,
  sides,
} from '../../shared/domain/account-entry.ts'
import type { JobRow } from '../features/jobs/row.ts'

export type Difference = {
  readonly kind:
    | 'RowWithoutHold'
    | 'HoldWithoutRow'
    | 'EntryMissing'
    | 'DoubleCharge'
    | 'ChargeDiffers'
    | 'OutputMissing'
    | 'RowWithoutResource'
    | 'ResourceWithoutRow'
    | 'ChainBroken'
    | 'AccountUnsound'
    | 'DepartmentDiffers'
  /** Job id, account id, object key or name of a department. */
  readonly id: string
  readonly message: string
}

/** One account against all its entries. */
export function auditAccount(
  account: Account,
  entries: readonly Entry[],
  hash: Hash,
): readonly Difference[] {
  const id = account._id
  const unsound = [...accountFaults(account), ...totalFaults(account, entries)]
  const isWhole = isChain(entries, hash) && (entries.at(-1)?.hash ?? '') === account.chain
  return [
    ...unsound.map((message) => ({ kind: 'AccountUnsound', id, message }) as const),
    ...(isWhole
      ? []
      : [{ kind: 'ChainBroken', id, message: 'an entry is not what it was' } as const]),
  ]
}

/** The sum of all entries must give the totals of the document. */
function totalFaults({ _id, totals }: Account, entries: readonly Entry[]): readonly string[] {
  const postings = entries.flatMap((entry) => entry.postings)
  const into = (side: string) => total(postings.filter(({ credit }) => credit === side))
  const outOf = (side: string) => total(postings.filter(({ debit }) => debit === side))
  const [available, held] = [sides.available(_id), sides.held(_id)]
  const sums = {
    issued: outOf(sides.issued),
    available: into(available) - outOf(available),
    held: into(held) - outOf(held),
    spent: into(sides.spent),
    expired: into(sides.expired),
  }
  return (['issued', 'available', 'held', 'spent', 'expired'] as const)
    .filter((name) => sums[name] !== totals[name])
    .map((name) => `${name} is ${totals[name]}, the entries say ${sums[name]}`)
}

function total(postings: Entry['postings']): number {
  return postings.reduce((sum, { microCredits }) => sum + microCredits, 0)
}

/** The entries of one job against what its row says. */
export function auditJobEntries(row: JobRow, entries: readonly Entry[]): readonly Difference[] {
  const id = row._id
  const ended = entries.filter(({ kind }) => endings.some((ending) => ending === kind))
  const missing = entriesExpected(row).filter(
    (expected) => !entries.some(({ _id }) => _id === expected),
  )
  const charged = ended.reduce((sum, entry) => sum + chargedBy(entry), 0)
  const isEqual = row.chargedMicroCredits === null || row.chargedMicroCredits === charged
  const chargeMessage = `the row says ${row.chargedMicroCredits}, the entries ${charged}`
  return [
    ...missing.map((name) => ({ kind: 'EntryMissing', id, message: `no ${name}` }) as const),
    ...(ended.length > 1
      ? [{ kind: 'DoubleCharge', id, message: 'its hold ended more than once' } as const]
      : []),
    ...(isEqual ? [] : [{ kind: 'ChargeDiffers', id, message: chargeMessage } as const]),
  ]
}

function entriesExpected({ _id, hold }: JobRow): readonly string[] {
  const held = entryId(_id, 'Hold')
  switch (hold) {
    case 'None':
      return []
    case 'Held':
      return [held]
    case 'Settled':
      return [held, entryId(_id, 'Settle')]
    case 'Voided':
      return [held, entryId(_id, 'Void')]
    case 'Expired':
      return [held, entryId(_id, 'Expire')]
    default:
      return unreachable(hold)
  }
}
