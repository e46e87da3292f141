import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Clock } from '../../../shared/clock.ts'
import { jobPrefix } from '../../../shared/domain/job-artifact.ts'
import type { LeaderTask } from '../../people.ts'
import { serveItem, type ItemLog } from '../../serve-item.ts'
import type { JobEvents } from './events.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

export type RetentionDeps = {
  readonly store: Pick<JobStore, 'findOutdated' | 'change'>
  readonly objects: Pick<ObjectStore, 'list' | 'delete'>
  readonly events: JobEvents
  readonly clock: Clock
  readonly log: ItemLog
}

const dayMs = 86_400_000
const everyMs = 60_000
const rowsPerPass = 200

/** Until when the objects of a job that ends now are kept; null: for good, as kubectl's are. */
export function keepUntilOf({ limits }: Pick<JobRow, 'limits'>, completionTimeMs: number) {
  if (limits === undefined || limits === null) return null
  return completionTimeMs + limits.retentionDays * dayMs
}

/** For `leaderTasks`: pictures of jobs are kept for as long as their owner's tier said. */
export function retentionTask(deps: RetentionDeps): LeaderTask {
  return {
    name: 'remove-outdated-outputs',
    everyMs,
    run: async () => await removeOutdatedOnce(deps),
  }
}

/** One bounded pass; what is left over is found by the next. Returns how many jobs it tried. */
export async function removeOutdatedOnce(deps: RetentionDeps): Promise<number> {
  const rows = await deps.store.findOutdated(deps.clock.nowMs(), rowsPerPass)
  for (const row of rows) {
    await serveItem({ id: row._id, log: deps.log }, async () => await removeOutputs(deps, row))
  }
  return rows.length
}

/**
 * First the row, so that nobody is shown a link to nothing; then everything in the job's folder,
 * also what failed attempts left; at last the note that it is done. A crash between them is
 * finished by the next pass, because the row is found until the note is gone.
 */
async function removeOutputs(
  { store, objects, events, clock }: RetentionDeps,
  row: JobRow,
): Promise<void> {
  if ((row.outputsRemovedTimeMs ?? null) === null) {
    const change = { outputs: [], outputsRemovedTimeMs: clock.nowMs() }
    const changed = await store.change(row._id, { revision: row.revision }, change)
    if (changed === null) return
    events.publish({ jobId: changed._id, revision: changed.revision }, changed.owner)
  }
  for await (const { key } of objects.list(jobPrefix(row._id))) await objects.delete(key)
  await store.change(row._id, {}, { keepUntilMs: null })
}
