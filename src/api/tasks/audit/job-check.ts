import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import type { DifferenceKind } from '../../../shared/domain/audit-differences.ts'
import type { AccountDocument } from '../../features/accounts/store.ts'
import { type HoldState, isTerminal, type JobRow } from '../../features/jobs/row.ts'
import { eachById } from '../pages.ts'
import { type Check, collector, type Found, inGroups } from './check.ts'
import type { AuditStore } from './store.ts'

export type JobCheckDeps = {
  readonly store: AuditStore
  readonly objects: Pick<ObjectStore, 'head'>
  readonly clock: Clock
}

const rowsPerGroup = 500
/** Clocks of replicas differ, and a write may arrive long after its time was taken. */
const overlapMs = 120_000

/**
 * Rows against the entries of their jobs and against their objects. Costs two queries for 500 rows
 * and one head of each output. `changed` looks at open rows and at those that ended or were written
 * since the last look, each version of them once.
 */
export function openJobCheck({ store, objects, clock }: JobCheckDeps): Check {
  /** Versions that were looked at, for as long as `changed` may come upon them. */
  const seen = new Map<string, Pick<JobRow, 'revision' | 'updateTimeMs'>>()
  let sinceMs = 0
  let checked = 0
  const look = async (rows: AsyncIterable<JobRow>, nextSinceMs: number) => {
    const { found, add } = collector()
    await inGroups(rows, rowsPerGroup, async (group) => {
      const fresh = group.filter(({ _id, revision }) => seen.get(_id)?.revision !== revision)
      checked += fresh.length
      add(await compareRows({ store, objects }, fresh))
      for (const { _id, state, revision, updateTimeMs } of fresh) {
        const isMetAgain = isTerminal(state) && updateTimeMs >= nextSinceMs
        if (isMetAgain) seen.set(_id, { revision, updateTimeMs })
      }
    })
    return found
  }
  /** What ends while one look goes on is found by the next. */
  const lookFrom = async (sources: readonly AsyncIterable<JobRow>[]) => {
    checked = 0
    const nextSinceMs = clock.nowMs() - overlapMs
    const { found, add } = collector()
    for (const rows of sources) add(await look(rows, nextSinceMs))
    sinceMs = nextSinceMs
    for (const [id, { updateTimeMs }] of seen) if (updateTimeMs < sinceMs) seen.delete(id)
    return found
  }
  return {
    name: 'jobs',
    all: async () => {
      seen.clear()
      return await lookFrom([eachById(store.rows)])
    },
    changed: async () => {
      const ended = eachById((page) => store.endedSince(sinceMs, page))
      return await lookFrom([eachById(store.openRows), ended])
    },
    again: async (ids) => await compareRows({ store, objects }, await store.rowsById(ids)),
    checked: () => ({ rows: checked }),
  }
}

type Sources = Pick<JobCheckDeps, 'store' | 'objects'>

/**
 * Rows, then accounts, then entries: a row is written after its entry, and an entry leaves the
 * outbox after it lies in the collection.
 */
async function compareRows({ store, objects }: Sources, rows: readonly JobRow[]) {
  if (rows.length === 0) return []
  const accounts = await store.accountsById([...new Set(rows.map(({ accountId }) => accountId))])
  const stored = await store.entriesById(rows.flatMap(({ _id }) => phases.map((of) => of(_id))))
  const entries = new Map(
    [...accounts.flatMap(({ outbox }) => outbox), ...stored].map((one) => [one._id, one]),
  )
  const byId = new Map(accounts.map((account) => [account._id, account]))
  const { found, add } = collector()
  for (const row of rows) {
    const own = phases.flatMap((of) => entries.get(of(row._id)) ?? [])
    add([...compareEntries(row, own), ...compareHold(row, byId.get(row.accountId))])
    add(await compareOutputs(objects, row))
  }
  return found
}

/** Names of the entries that one job can have. */
const phases = ['hold', 'settle', 'void', 'expire'].map((phase) => (id: string) => `${id}:${phase}`)

const endingOf: Readonly<Record<HoldState, string | null>> = {
  None: null,
  Held: null,
  Settled: 'settle',
  Voided: 'void',
  Expired: 'expire',
}

function compareEntries(row: JobRow, entries: readonly Entry[]): readonly Found[] {
  const ended = entries.filter(({ kind }) => kind !== 'Hold')
  const ending = endingOf[row.hold]
  const expected = [
    ...(row.hold === 'None' ? [] : [`${row._id}:hold`]),
    ...(ending === null ? [] : [`${row._id}:${ending}`]),
  ]
  const ids = new Set(entries.map(({ _id }) => _id))
  const missing = expected.filter((id) => !ids.has(id))
  const foreign = entries.filter(({ accountId }) => accountId !== row.accountId)
  return [
    ...foreign.map(({ _id, accountId }) =>
      differs('ChargeDiffers', row, `${accountId} has ${_id}`),
    ),
    ...missing.map((id) => differs('EntryMissing', row, `there is no ${id}`)),
    ...(ended.length > 1 ? [differs('DoubleEnding', row, 'its hold ended more than once')] : []),
    ...(missing.length > 0 || ended.length > 1 ? [] : compareCharge(row, ended)),
  ]
}

/** Where entries are missing or too many, that is what has to be told. */
function compareCharge(row: JobRow, ended: readonly Entry[]): readonly Found[] {
  const charged = ended
    .flatMap(({ postings }) => postings)
    .filter(({ credit }) => credit === 'system/revenue')
    .reduce((sum, { microCredits }) => sum + microCredits, 0)
  if (row.chargedMicroCredits === null || row.chargedMicroCredits === charged) return []
  const message = `the row says ${row.chargedMicroCredits}, the entries ${charged}`
  return [differs('ChargeDiffers', row, message)]
}

function compareHold(row: JobRow, account: AccountDocument | undefined): readonly Found[] {
  if (row.hold !== 'Held') return []
  const isHeld = account?.holds.some(({ jobId }) => jobId === row._id) ?? false
  return isHeld ? [] : [differs('RowWithoutHold', row, 'its account has no hold')]
}

async function compareOutputs(
  objects: Sources['objects'],
  { _id: subject, outputs }: JobRow,
): Promise<readonly Found[]> {
  const { found: missing, add } = collector()
  for (const { key, sha256, sizeBytes } of outputs) {
    const object = await objects.head(key)
    if (object?.sha256 === sha256 && object.sizeBytes === sizeBytes) continue
    const message = object === null ? 'the object is missing' : 'the object has other bytes'
    add([{ subject, difference: { kind: 'OutputMissing', id: key, message } }])
  }
  return missing
}

function differs(kind: DifferenceKind, { _id: id }: JobRow, message: string): Found {
  return { subject: id, difference: { kind, id, message } }
}
