import type { Clock } from '../../../shared/clock.ts'
import type { GenerationJob } from '../../../shared/crd/generation-job.ts'
import { jobIdOf } from '../../features/jobs/project.ts'
import { isTerminal, type JobRow } from '../../features/jobs/row.ts'
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
/** Until then the controller may not have asked for the hold of a job that kubectl applied. */
const newForMs = 60_000

/**
 * Open rows against GenerationJobs, in both directions. Costs one list of all of them, as the
 * comparison makes each minute, and the open rows: there is nothing to remember.
 */
export function openResourceCheck(deps: ResourceCheckDeps): Check {
  let checked = 0
  const all = async () => {
    const rows = await openRows(deps.store)
    const resources = await deps.listJobs()
    checked = resources.length
    return [...gone(rows, resources), ...(await unknown(deps, resources))]
  }
  return {
    all,
    changed: all,
    again: async (ids) => {
      const rows = (await deps.store.rowsById(ids)).filter(isExpected)
      const asked = new Set(ids)
      const resources = (await deps.listJobs()).filter((job) => asked.has(jobIdOf(job)))
      return [...gone(rows, resources), ...(await unknown(deps, resources))]
    },
    checked: () => ({ resources: checked }),
  }
}

type OpenRow = Pick<JobRow, '_id' | 'state' | 'resource'>

/** Rows first, then the list: a resource that a row knows of was there before the list was made. */
async function openRows(store: AuditStore): Promise<readonly OpenRow[]> {
  const found: OpenRow[] = []
  for await (const { _id, state, resource } of eachById(store.openRows)) {
    const row = { _id, state, resource }
    if (isExpected(row)) found.push(row)
  }
  return found
}

function isExpected({ state, resource }: OpenRow): boolean {
  return resource.uid !== null && !isTerminal(state)
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

/** The list first, then the rows: the api makes the row before the resource. */
async function unknown(
  { store, clock }: ResourceCheckDeps,
  resources: readonly GenerationJob[],
): Promise<readonly Found[]> {
  const { found, add } = collector()
  const settled = resources.filter((job) => isSettled(job, clock.nowMs()))
  for (let start = 0; start < settled.length; start += idsPerQuery) {
    const some = settled.slice(start, start + idsPerQuery)
    const ids = await store.rowIds(some.map(jobIdOf))
    add(some.filter((job) => !ids.has(jobIdOf(job))).map(withoutRow))
  }
  return found
}

function isSettled({ spec, metadata }: GenerationJob, nowMs: number): boolean {
  const createTimeMs = Date.parse(metadata.creationTimestamp)
  return spec.jobId !== undefined || nowMs - createTimeMs > newForMs
}

function withoutRow(job: GenerationJob): Found {
  const { namespace, name } = job.metadata
  const id = jobIdOf(job)
  const message = `the api has no row for ${namespace}/${name}`
  return { subject: id, difference: { kind: 'ResourceWithoutRow', id, message } }
}
