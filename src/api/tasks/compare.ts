import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { deletedReason } from '../../shared/domain/job-status.ts'
import { type FinishDeps, finishJob } from '../features/jobs/finish.ts'
import type { JobRow } from '../features/jobs/row.ts'
import { openStates } from '../features/jobs/store.ts'
import { serveItem, type ItemLog } from '../serve-item.ts'
import { type CompareAccountsDeps, compareAccounts } from './compare-accounts.ts'
import { missingForMs } from './missing.ts'
import { eachById } from './pages.ts'

export type CompareDeps = FinishDeps &
  CompareAccountsDeps & {
    /** Every GenerationJob there is, complete or not at all. */
    readonly listJobs: () => Promise<readonly GenerationJob[]>
    /** Asks for another look at the custom resource with this key. */
    readonly project: (key: string) => void
    readonly clock: Clock
    readonly log: ItemLog
  }

export { missingForMs } from './missing.ts'

/**
 * Rows against custom resources, accounts against rows and people; what is left over is ended or
 * given back. Accounts need no list of resources, so they do not wait for one.
 */
export async function compareOnce(deps: CompareDeps): Promise<void> {
  const open: JobRow[] = []
  for await (const row of eachById(deps.store.pageOpen)) open.push(row)
  try {
    await compareResources(deps, open)
  } finally {
    await compareAccounts(deps, new Set(open.map(({ _id }) => _id)))
  }
}

/** Rows first, then the list: a resource that a row knows of was there before the list was made. */
async function compareResources(deps: CompareDeps, open: readonly JobRow[]): Promise<void> {
  const rows = open.filter(({ resource }) => resource.uid !== null)
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
