import { assert } from '../../../shared/assert.ts'
import type { ChangeContext, Entry } from '../../../shared/domain/account-entry.ts'
import { isAppError } from '../../../shared/errors.ts'
import type { EntryRelay } from './entry-relay.ts'
import { type FoldInput, type Folded, foldOperations } from './fold.ts'
import type { SnapshotMemory } from './snapshot-memory.ts'
import type { AccountSnapshot, AccountStore } from './store.ts'
import { overloaded, type Waiting } from './waiting.ts'

export type RoundParts = {
  readonly store: AccountStore
  readonly memory: SnapshotMemory
  readonly relay: EntryRelay
  readonly context: () => ChangeContext
}

export type RoundResult = {
  /** Decided on what was no longer so: to be decided anew, at once. */
  readonly outdated: readonly Waiting[]
  /** To be tried again after a pause: somebody else wrote, or the database did not answer. */
  readonly unwritten: readonly Waiting[]
  /** Why the database did not answer. */
  readonly cause?: unknown
}

/** Entries that one account may have for the relay to write. */
const outboxMax = 5000

type Group = {
  readonly before: AccountSnapshot
  /** Read in this round: what is decided without a change is true as well. */
  readonly isFresh: boolean
  readonly operations: readonly Waiting[]
}

/** Decides and writes a batch. Never throws: whoever asked is told, or it is tried again. */
export async function runRound(parts: RoundParts, batch: readonly Waiting[]): Promise<RoundResult> {
  try {
    return await tryRound(parts, batch)
  } catch (error) {
    for (const { accountId } of batch) parts.memory.forget(accountId)
    if (isAppError(error, 'platform.unavailable')) {
      return { outdated: [], unwritten: batch, cause: error }
    }
    return await apart(parts, batch, error)
  }
}

/** One account that cannot be written must not take the others along. */
async function apart(
  parts: RoundParts,
  batch: readonly Waiting[],
  error: unknown,
): Promise<RoundResult> {
  const groups = [...Map.groupBy(batch, ({ accountId }) => accountId).values()]
  if (groups.length === 1) {
    for (const { fail } of batch) fail(error)
    return { outdated: [], unwritten: [] }
  }
  const outdated: Waiting[] = []
  const unwritten: Waiting[] = []
  for (const group of groups) {
    const result = await runRound(parts, group)
    outdated.push(...result.outdated)
    unwritten.push(...result.unwritten)
  }
  return { outdated, unwritten }
}

async function tryRound(parts: RoundParts, batch: readonly Waiting[]): Promise<RoundResult> {
  const groups = await gather(parts, batch)
  const ids = groups.flatMap(({ before, operations }) =>
    operations.flatMap(({ entryIds }) => entryIds(before.account)),
  )
  const snapshots = groups.map(({ before }) => before)
  const [past] = await Promise.all([
    parts.store.findEntries(snapshots, [...new Set(ids)]),
    parts.relay.settled(),
  ])
  const context = parts.context()
  const late = groups.filter((group) => isOvertaken(group, past))
  const current = groups.filter((group) => !late.includes(group))
  const folds = current.flatMap((group) => fold(parts, group, { past, context }))
  const { outdated, unwritten } = await writeFolds(parts, folds)
  for (const { before } of late) parts.memory.forget(before.account._id)
  const again = (isFresh: boolean) =>
    late.filter((group) => group.isFresh === isFresh).flatMap(({ operations }) => operations)
  return { outdated: [...outdated, ...again(false)], unwritten: [...unwritten, ...again(true)] }
}

/** An account and an entry that was made after it was read make no sense together. */
function isOvertaken({ before: { account } }: Group, past: ReadonlyMap<string, Entry>): boolean {
  return past.values().some(({ accountId, seq }) => accountId === account._id && seq > account.seq)
}

/** From memory where this process wrote last, else from the database. */
async function gather({ store, memory }: RoundParts, batch: readonly Waiting[]) {
  const byAccount = Map.groupBy(batch, ({ accountId }) => accountId)
  const known = [...byAccount.keys()].map((id) => [id, memory.get(id)] as const)
  const missing = known.filter(([, snapshot]) => snapshot === undefined).map(([id]) => id)
  const read = await store.readMany(missing)
  return known.map(([id, remembered]): Group => {
    const before = remembered ?? read.get(id)
    assert(before !== undefined, 'an account that is not there reads as an empty one')
    return { before, isFresh: remembered === undefined, operations: byAccount.get(id) ?? [] }
  })
}

type GroupFold = Group &
  Folded<Waiting> & {
    readonly outbox: readonly Entry[]
    /** What was in the outbox and need not be there any more. */
    readonly relayed: readonly Entry[]
  }

function fold(
  { relay }: RoundParts,
  group: Group,
  facts: Pick<FoldInput<Waiting>, 'past' | 'context'>,
): readonly GroupFold[] {
  const { before, operations } = group
  const folded = foldOperations({ ...facts, account: before.account, operations })
  const relayed = before.outbox.filter(relay.isRelayed)
  const outbox = [...before.outbox.filter((entry) => !relay.isRelayed(entry)), ...folded.added]
  if (outbox.length <= outboxMax) return [{ ...group, ...folded, outbox, relayed }]
  for (const { fail } of folded.decided) fail(overloaded('the ledger is behind'))
  return []
}

async function writeFolds(parts: RoundParts, folds: readonly GroupFold[]): Promise<RoundResult> {
  const changed = folds.filter(({ added }) => added.length > 0)
  const written = await parts.store.write(changed)
  for (const one of changed) {
    if (written.has(one.account._id)) remember(parts, one)
    else parts.memory.forget(one.account._id)
  }
  parts.relay.begin()
  const unwritten = changed.filter(({ account }) => !written.has(account._id))
  const unchanged = folds.filter(({ added }) => added.length === 0)
  const outdated = unchanged.filter(({ isFresh }) => !isFresh)
  for (const { account } of outdated) parts.memory.forget(account._id)
  for (const one of folds) {
    if (unwritten.includes(one) || outdated.includes(one)) continue
    for (const { finish } of one.decided) finish()
  }
  return { outdated: outdated.flatMap(decidedOf), unwritten: unwritten.flatMap(decidedOf) }
}

function decidedOf({ decided }: GroupFold): readonly Waiting[] {
  return decided
}

/** Only where no other process has to take something out of the outbox behind our back. */
function remember(
  { memory, relay }: Pick<RoundParts, 'memory' | 'relay'>,
  { account, added, outbox, relayed }: GroupFold,
): void {
  relay.dropped(relayed)
  relay.add(added)
  if (outbox.every(relay.knows)) memory.set({ account, outbox, isNew: false })
  else memory.forget(account._id)
}
