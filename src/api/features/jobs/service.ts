import type { Caller } from '../../../shared/domain/caller.ts'
import { canSee, requirePermission, visibleRows } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import type { JobState, JobView } from '../../../shared/wire/jobs.ts'
import type { QueueView } from '../../../shared/wire/queue-view.ts'
import type { QuoteView } from '../../../shared/wire/quotes.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { QueueDesk } from '../queue/service.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { dryRun } from './dry-run.ts'
import type { JobEvents } from './events.ts'
import { isTerminal, type JobRow } from './row.ts'
import { openStates, type JobStore } from './store.ts'
import { submitRow, type SubmitDeps } from './submit.ts'
import { type LinkObject, toAcceptedView, toView } from './view.ts'

export type SubmitOptions = {
  /** The client's `Idempotency-Key`, 1 to 255 characters. */
  readonly idempotencyKey?: string | undefined
  /** Id of a quote for the same request: the job costs no more than it says. */
  readonly quote?: string | undefined
}

export type ListOptions = {
  /** 1 to 100. */
  readonly limit: number
  /** `next` of the page before. A bad one is `request.invalid` with path `cursor`. */
  readonly cursor?: string | undefined
  readonly state?: JobState | undefined
}

export type Submitted = {
  readonly view: JobView
  /** True when the view is the answer to an earlier request with the same key. */
  readonly replayed: boolean
}

export type JobPage = { readonly items: JobView[]; readonly next: string | null }

/** What people may do with jobs. Every function checks the caller's permission first. */
export type JobService = {
  /**
   * Accepts a job: row, hold, then the answer; the custom resource follows.
   * Same key and body: the same answer as the first time.
   * Errors: `request.invalid` (fields, as JSON pointers), `model.not_found`,
   * `credits.insufficient` (details `missing`, `available`, `price` in decimal credits),
   * `credits.queue_full`, `limit.queued_jobs`, `limit.running_jobs`, `limit.department_queue`
   * (details `limit`, `count`, `running`, `queued`), `idempotency.in_flight`,
   * `idempotency.mismatch`, `quote.invalid`, `auth.forbidden`.
   */
  readonly submit: (
    caller: Caller,
    request: JobRequest,
    options?: SubmitOptions,
  ) => Promise<Submitted>
  /** Every check of `submit` and its price, without any write. Errors: `dryRun`'s. */
  readonly dryRun: (
    caller: Caller,
    request: JobRequest,
    options?: Pick<SubmitOptions, 'quote'>,
  ) => Promise<QuoteView>
  /** With its place in the queue. Errors: `job.not_found`, also for another person's job. */
  readonly get: (caller: Caller, jobId: string) => Promise<JobView>
  /** Without it, as in live messages: nobody is asked. Errors: `job.not_found`. */
  readonly snapshot: (caller: Caller, jobId: string) => Promise<JobView>
  /** Newest first; only what the caller may see. */
  readonly list: (caller: Caller, options: ListOptions) => Promise<JobPage>
  /**
   * Asks for the end of a job and answers at once; cancelling twice is fine.
   * Errors: `job.not_found`, `job.ended` when it completed or failed.
   */
  readonly cancel: (caller: Caller, jobId: string) => Promise<JobView>
  /** The row behind a view, for artifacts and realtime. Errors: `job.not_found`. */
  readonly getRow: (caller: Caller, jobId: string) => Promise<JobRow>
}

export type JobServiceDeps = SubmitDeps & {
  readonly linkObject: LinkObject
  readonly queue: QueueDesk
  readonly people: { readonly trail: Pick<AuditTrail, 'append'> }
  readonly events: JobEvents
  /** Starts the dispatch of an accepted job, or the cancel of a dispatched one; returns at once. */
  readonly wakeDispatcher: (jobId: string) => void
}

export function openJobService(deps: JobServiceDeps): JobService {
  return {
    submit: async (caller, request, { idempotencyKey, quote } = {}) => {
      requirePermission(caller, 'jobs.create')
      const { row, replayed } = await submitRow(deps, { caller, request, idempotencyKey, quote })
      deps.wakeDispatcher(row._id)
      return { view: toAcceptedView(row, deps.linkObject), replayed }
    },
    dryRun: async (caller, request, { quote } = {}) => {
      requirePermission(caller, 'jobs.create')
      return await dryRun(deps, { caller, request, quote })
    },
    get: async (caller, jobId) => {
      const row = await readRow(deps.store, caller, jobId)
      return toQueuedView(deps, row, await deps.queue.describe([row]))
    },
    snapshot: async (caller, jobId) =>
      toView(await readRow(deps.store, caller, jobId), deps.linkObject),
    getRow: async (caller, jobId) => await readRow(deps.store, caller, jobId),
    list: async (caller, options) => await listPage(deps, caller, options),
    cancel: async (caller, jobId) => {
      requirePermission(caller, 'jobs.cancel')
      const row = await readRow(deps.store, caller, jobId)
      return toView(await requestCancel(deps, caller, row), deps.linkObject)
    },
  }
}

async function readRow(store: JobStore, caller: Caller, jobId: string): Promise<JobRow> {
  requirePermission(caller, 'jobs.read')
  const row = await store.get(jobId)
  if (row !== null && canSee(caller, row.owner)) return row
  throw unknownJob(jobId)
}

async function listPage(deps: JobServiceDeps, caller: Caller, options: ListOptions) {
  requirePermission(caller, 'jobs.read')
  const { limit, cursor, state } = options
  const after = cursor === undefined ? null : decodeCursor(cursor)
  const query = { rows: visibleRows(caller), state, after, limit: limit + 1 }
  const found = await deps.store.page(query)
  const page = found.slice(0, limit)
  const last = page.at(-1)
  const next = found.length > limit && last !== undefined ? encodeCursor(last) : null
  const places = await deps.queue.describe(page)
  return { items: page.map((row) => toQueuedView(deps, row, places)), next }
}

function toQueuedView(
  { linkObject }: Pick<JobServiceDeps, 'linkObject'>,
  row: JobRow,
  places: ReadonlyMap<string, QueueView | null>,
): JobView {
  return { ...toView(row, linkObject), queue: places.get(row._id) ?? null }
}

/**
 * The wish goes into the row before the effect, so that no crash can lose it; and who asked goes
 * into the audit log before the wish, so that no job is cancelled by nobody. Of a job that ends
 * between the two it says no more than is true: somebody asked.
 */
async function requestCancel(deps: JobServiceDeps, caller: Caller, row: JobRow): Promise<JobRow> {
  if (row.cancelRequested || row.state === 'Cancelled') return row
  if (isTerminal(row.state)) throw endedJob(row)
  const target = { kind: 'job', id: row._id, department: row.owner.department }
  await deps.people.trail.append(caller, { action: 'job.cancel_requested', target })
  const guard = { states: openStates }
  const wished = await deps.store.change(row._id, guard, { cancelRequested: true })
  if (wished === null) throw endedJob(row)
  deps.events.publish({ jobId: wished._id, revision: wished.revision }, wished.owner)
  deps.wakeDispatcher(wished._id)
  return wished
}

function unknownJob(jobId: string): AppError {
  return new AppError('job.not_found', `there is no job ${jobId.slice(0, 64)}`)
}

function endedJob({ state }: JobRow): AppError {
  return new AppError('job.ended', `the job has ended: ${state}`)
}
