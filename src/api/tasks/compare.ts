import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { isLapsed } from '../../shared/domain/account.ts'
import { deletedReason } from '../../shared/domain/job-status.ts'
import type { AccountDocument, AccountStore } from '../features/accounts/store.ts'
import { type FinishDeps, finishJob } from '../features/jobs/finish.ts'
import { isTerminal, type JobRow } from '../features/jobs/row.ts'
import { openStates } from '../features/jobs/store.ts'
import { serveItem, type ItemLog } from '../serve-item.ts'
import { eachById } from './pages.ts'

export type CompareDeps = FinishDeps & {
  readonly accountStore: AccountStore
  /** Every GenerationJob there is, complete or not at all. */
  readonly listJobs: () => Promise<readonly GenerationJob[]>
  /** Asks for another look at the custom resource with this key. */
  readonly project: (key: string) => void
  readonly clock: Clock
  readonly log: ItemLog
}

/** Two complete lists this far apart must lack a resource before anything is done about it. */
export const missingForMs = 60_000

/**
 * Rows against custom resources, holds against rows; what is left over is ended. Holds need no
 * list of resources, so they do not wait for one.
 */
export async function compareOnce(deps: CompareDeps): Promise<void> {
  try {
    await compareResources(deps)
  } finally {
    await compareHolds(deps)
  }
}

/** Rows first, then the list: a resource that a row knows of was there before the list was made. */
async function compareResources(deps: CompareDeps): Promise<void> {
  const rows: JobRow[] = []
  for await (const row of eachById(deps.store.pageOpen)) {
    if (row.resource.uid !== null) rows.push(row)
  }
  const listed = await deps.listJobs()
  const byUid = new Map(listed.map((job) => [job.metadata.uid, job]))
  for (const row of rows) {
    const job = byUid.get(row.resource.uid ?? '')
    await serveItem({ id: row._id, log: deps.log }, async () => await compareRow(deps, row, job))
  }
}

async function compareRow(deps: CompareDeps, row: JobRow, job: GenerationJob | undefined) {
  if (job === undefined) return await handleMissing(deps, row)
  // Heals whatever change was missed: projecting what is known already writes nothing.
  deps.project(keyOf(job))
  if (row.missingTimeMs !== null) await noteMissing(deps, row, null)
}

async function handleMissing(deps: CompareDeps, row: JobRow): Promise<void> {
  const nowMs = deps.clock.nowMs()
  if (row.missingTimeMs === null) return await noteMissing(deps, row, nowMs)
  if (nowMs - row.missingTimeMs < missingForMs) return
  const { conditions, attempt, startTimeMs } = row
  await finishJob(deps, row, {
    ...deletedReason,
    state: 'Cancelled',
    conditions,
    attempt,
    startTimeMs,
    completionTimeMs: nowMs,
    outputs: null,
  })
}

async function noteMissing({ store }: CompareDeps, row: JobRow, missingTimeMs: number | null) {
  await store.change(row._id, { states: openStates, revision: row.revision }, { missingTimeMs })
}

/** Also the place where lapsed credits are booked off: every account passes by here. */
async function compareHolds(deps: CompareDeps): Promise<void> {
  const accounts = eachById(({ afterId, limit }) => deps.accountStore.page(afterId, limit))
  for await (const account of accounts) {
    const item = { id: account._id, log: deps.log }
    await serveItem(item, async () => await compareAccount(deps, account))
  }
}

/** A hold comes after its row; one without a living row was left by a crash. */
async function compareAccount(deps: CompareDeps, account: AccountDocument): Promise<void> {
  const nowMs = deps.clock.nowMs()
  if (account.lots.some((lot) => isLapsed(lot, nowMs))) await deps.accounts.lapse(account._id)
  for (const { jobId, createTimeMs } of account.holds) {
    if (nowMs - createTimeMs < missingForMs) continue
    const row = await deps.store.get(jobId)
    if (row === null || isTerminal(row.state)) await deps.accounts.void(account._id, jobId)
  }
}
