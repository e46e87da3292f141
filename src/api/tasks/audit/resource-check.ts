import type { Clock } from '../../../shared/clock.ts'
import type { GenerationJob } from '../../../shared/crd/generation-job.ts'
import { isTerminalStatus } from '../../../shared/domain/job-status.ts'
import { jobIdOf } from '../../features/jobs/project.ts'
import { isTerminal, type JobRow } from '../../features/jobs/row.ts'
import { missingForMs } from '../missing.ts'
import { eachById } from '../pages.ts'
import { type Check, collector, type Found } from './check.ts'
import type { AuditStore } from './store.ts'

export type ResourceCheckDeps = {
  readonly store: AuditStore
  /** Every GenerationJob of this installation, complete or not at all. */
  readonly listJobs: () => Promise<readonly GenerationJob[]>
  readonly clock: Clock
}

const idsPerQuery = 500
/** Until then nobody may have looked at the end of a job that kubectl applied. */
const endedForMs = 60_000
/** The comparison notes what is missing, waits, and then ends the job, once a minute each. */
const goneForMs = 3 * missingForMs

/**
 * Open rows against GenerationJobs, in both directions. Costs one list of all of them, as the
 * comparison makes each minute, and the open rows: there is nothing to remember.
 */
export function openResourceCheck(deps: ResourceCheckDeps): Check {
  let checked = 0
  const all = async () => {
    const rows = await overdueRows(deps)
    const resources = await deps.listJobs()
    checked = resources.length
    return [...gone(rows, resources), ...(await unknown(deps, resources))]
  }
  return {
    name: 'resources',
    all,
    changed: all,
    again: async (ids) => {
      const nowMs = deps.clock.nowMs()
      const rows = (await deps.store.rowsById(ids)).filter((row) => isOverdue(row, nowMs))
      const asked = new Set(ids)
      const resources = (await deps.listJobs()).filter((job) => asked.has(jobIdOf(job)))
      return [...gone(rows, resources), ...(await unknown(deps, resources))]
    },
    checked: () => ({ resources: checked }),
  }
}

type OpenRow = Pick<JobRow, '_id' | 'state' | 'resource' | 'missingTimeMs'>

/** Rows first, then the list: a resource that a row knows of was there before the list was made. */
async function overdueRows({ store, clock }: ResourceCheckDeps): Promise<readonly OpenRow[]> {
  const nowMs = clock.nowMs()
  const found: OpenRow[] = []
  for await (const { _id, state, resource, missingTimeMs } of eachById(store.openRows)) {
    const row = { _id, state, resource, missingTimeMs }
    if (isOverdue(row, nowMs)) found.push(row)
  }
  return found
}

/** To delete a GenerationJob is how kubectl cancels it: the comparison has its time to notice. */
function isOverdue({ state, missingTimeMs }: OpenRow, nowMs: number): boolean {
  return missingTimeMs !== null && nowMs - missingTimeMs > goneForMs && !isTerminal(state)
}

function gone(rows: readonly OpenRow[], resources: readonly GenerationJob[]): readonly Found[] {
  const uids = new Set(resources.map(({ metadata }) => metadata.uid))
  return rows
    .filter(({ resource: { uid } }) => uid !== null && !uids.has(uid))
    .map(({ _id: id }) => {
      const message = 'its GenerationJob is gone'
      return { subject: id, difference: { kind: 'RowWithoutResource', id, message } }
    })
}

/** The list first, then the rows: the row is made before the resource, or before its hold. */
async function unknown(
  { store, clock }: ResourceCheckDeps,
  resources: readonly GenerationJob[],
): Promise<readonly Found[]> {
  const { found, add } = collector()
  const expected = resources.filter((job) => needsRow(job, clock.nowMs()))
  for (let start = 0; start < expected.length; start += idsPerQuery) {
    const some = expected.slice(start, start + idsPerQuery)
    const ids = await store.rowIds(some.map(jobIdOf))
    add(some.filter((job) => !ids.has(jobIdOf(job))).map(withoutRow))
  }
  return found
}

/** A job of kubectl whose Model is not ready may wait for weeks before it asks for credits. */
function needsRow({ spec, status, metadata }: GenerationJob, nowMs: number): boolean {
  const { conditions = [], completionTime = metadata.creationTimestamp } = status ?? {}
  const isReserved = conditions.some(
    ({ type, status: value }) => type === 'CreditsReserved' && value === 'True',
  )
  if (spec.jobId !== undefined || isReserved) return true
  return isTerminalStatus(status) && nowMs - Date.parse(completionTime) > endedForMs
}

function withoutRow(job: GenerationJob): Found {
  const { namespace, name } = job.metadata
  const id = jobIdOf(job)
  const message = `the api has no row for ${namespace}/${name}`
  return { subject: id, difference: { kind: 'ResourceWithoutRow', id, message } }
}
