import type { ObjectStore } from '../../platform/objects/store.ts'
import type { Department } from '../../shared/crd/department.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Entry, Hash } from '../../shared/domain/account-entry.ts'
import type { AccountDocument, AccountStore } from '../features/accounts/store.ts'
import { auditDepartments } from '../features/departments/audit.ts'
import type { DepartmentRow, DepartmentStore } from '../features/departments/store.ts'
import { isTerminal, type JobRow } from '../features/jobs/row.ts'
import type { JobStore } from '../features/jobs/store.ts'
import { auditAccount, auditJobEntries, type Difference } from './audit-checks.ts'
import { eachById } from './pages.ts'

export type { Difference } from './audit-checks.ts'

export type AuditDeps = {
  readonly store: JobStore
  readonly accountStore: AccountStore
  readonly objects: ObjectStore
  readonly departmentStore: Pick<DepartmentStore, 'page'>
  readonly listJobs: () => Promise<readonly GenerationJob[]>
  /** Those of this installation. */
  readonly listDepartments: () => Promise<readonly Department[]>
  readonly hash: Hash
}

export type AuditReport = {
  /** Number of differences: 0 when rows, resources, holds, entries and objects agree. */
  readonly drift: number
  readonly differences: readonly Difference[]
  readonly checked: { readonly rows: number; readonly accounts: number; readonly resources: number }
}

/**
 * Compares everything with everything and changes nothing. What is on its way while it looks may
 * show up as a difference: ask again when nothing runs.
 */
export async function audit(deps: AuditDeps): Promise<AuditReport> {
  const ledger = await readLedger(deps)
  const rows = new Map<string, JobRow>()
  for await (const row of eachById(deps.store.pageAll)) rows.set(row._id, row)
  const resources = await deps.listJobs()
  const differences = [
    ...ledger.differences,
    ...[...rows.values()].flatMap((row) => auditRow(row, ledger)),
    ...holdDifferences(ledger, rows),
    ...resourceDifferences(resources, rows),
    ...(await outputDifferences(deps.objects, [...rows.values()])),
    ...(await departmentDifferences(deps)),
  ]
  const checked = { rows: rows.size, accounts: ledger.accounts, resources: resources.length }
  return { drift: differences.length, differences, checked }
}

type Ledger = {
  readonly accounts: number
  readonly differences: readonly Difference[]
  /** Job ids with an open hold. */
  readonly holds: ReadonlySet<string>
  readonly entriesOfJob: ReadonlyMap<string, readonly Entry[]>
}

async function readLedger(deps: AuditDeps): Promise<Ledger> {
  let accounts = 0
  const differences: Difference[] = []
  const holds = new Set<string>()
  const entriesOfJob = new Map<string, Entry[]>()
  const pages = eachById(({ afterId, limit }) => deps.accountStore.page(afterId, limit))
  for await (const account of pages) {
    accounts += 1
    const entries = await readEntries(deps.accountStore, account)
    differences.push(...auditAccount(account, entries, deps.hash))
    for (const { jobId } of account.holds) holds.add(jobId)
    for (const [jobId, own] of Map.groupBy(entries, (entry) => entry.jobId)) {
      if (jobId !== null) entriesOfJob.set(jobId, [...(entriesOfJob.get(jobId) ?? []), ...own])
    }
  }
  return { accounts, differences, holds, entriesOfJob }
}

/** Those in the collection and those that still lie in the outbox, each once, in order. */
async function readEntries(
  store: AccountStore,
  { _id, outbox }: AccountDocument,
): Promise<readonly Entry[]> {
  const found = new Map(outbox.map((entry) => [entry._id, entry]))
  let afterSeq = -1
  for (;;) {
    const page = await store.entriesOf(_id, afterSeq)
    for (const entry of page) found.set(entry._id, entry)
    const last = page.at(-1)
    if (last === undefined || last.seq <= afterSeq) break
    afterSeq = last.seq
  }
  return [...found.values()].toSorted((a, b) => a.seq - b.seq)
}

function auditRow(row: JobRow, ledger: Ledger): readonly Difference[] {
  const entries = ledger.entriesOfJob.get(row._id) ?? []
  const differences = [...auditJobEntries(row, entries)]
  if (row.hold === 'Held' && !ledger.holds.has(row._id)) {
    differences.push({ kind: 'RowWithoutHold', id: row._id, message: 'its account has no hold' })
  }
  return differences
}

function holdDifferences(
  { holds }: Ledger,
  rows: ReadonlyMap<string, JobRow>,
): readonly Difference[] {
  return [...holds].flatMap((id) => {
    const row = rows.get(id)
    if (row !== undefined && !isTerminal(row.state)) return []
    const message = row === undefined ? 'there is no row' : 'the job has ended'
    return [{ kind: 'HoldWithoutRow', id, message } as const]
  })
}

function resourceDifferences(
  resources: readonly GenerationJob[],
  rows: ReadonlyMap<string, JobRow>,
): readonly Difference[] {
  const uids = new Set(resources.map(({ metadata }) => metadata.uid))
  const rowsAlone = [...rows.values()].flatMap(({ _id: id, state, resource: { uid } }) => {
    if (uid === null || isTerminal(state) || uids.has(uid)) return []
    return [{ kind: 'RowWithoutResource', id, message: 'its GenerationJob is gone' } as const]
  })
  const resourcesAlone = resources.flatMap(({ spec: { jobId: id } }) => {
    if (id === undefined || rows.has(id)) return []
    return [{ kind: 'ResourceWithoutRow', id, message: 'the api has no row' } as const]
  })
  return [...rowsAlone, ...resourcesAlone]
}

/** The list first: a row that a resource was made from was there before it. */
async function departmentDifferences(deps: AuditDeps): Promise<readonly Difference[]> {
  const resources = await deps.listDepartments()
  const rows: DepartmentRow[] = []
  for await (const row of eachById(deps.departmentStore.page)) rows.push(row)
  return auditDepartments(rows, resources).map(({ name: id, message }) => {
    return { kind: 'DepartmentDiffers', id, message } as const
  })
}

async function outputDifferences(
  objects: ObjectStore,
  rows: readonly JobRow[],
): Promise<readonly Difference[]> {
  const differences: Difference[] = []
  for (const { key, sha256, sizeBytes } of rows.flatMap(({ outputs }) => outputs)) {
    const object = await objects.head(key)
    if (object?.sha256 === sha256 && object.sizeBytes === sizeBytes) continue
    const message = object === null ? 'the object is missing' : 'the object has other bytes'
    differences.push({ kind: 'OutputMissing', id: key, message })
  }
  return differences
}
