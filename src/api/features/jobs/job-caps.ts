import type { FieldError } from '../../../shared/errors.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Department } from '../../../shared/crd/department.ts'
import type { Parameters } from '../../../shared/crd/generation-job.ts'
import { accountLimits } from '../../../shared/domain/account.ts'
import type { HoldCap } from '../../../shared/domain/account-change.ts'
import type { HoldOutcome } from '../accounts/service.ts'
import type { OwnerLimits } from '../limits/owner-limits.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

/** What a job remembers of its owner's limits: a lower tier later never touches it. */
export type JobLimits = NonNullable<JobRow['limits']>

/** Nobody knows when a job ends; the queue moves every few seconds where there are GPUs. */
export const retryAfterSeconds = 15

export function jobLimitsOf({ caps, overLimit }: OwnerLimits): JobLimits {
  const { runningJobs, queuedJobs, retentionDays } = caps
  return { overLimit, runningJobs, queuedJobs, retentionDays }
}

/** A job of more pictures than its owner's tier allows; paths are dotted, for a 400 answer. */
export function imageErrors(
  { batchCount = 1, batchSize = 1 }: Parameters,
  { tier, caps }: Pick<OwnerLimits, 'tier' | 'caps'>,
): readonly FieldError[] {
  const images = batchCount * batchSize
  if (images <= caps.imagesPerJob) return []
  const path = batchCount > 1 ? 'parameters.batchCount' : 'parameters.batchSize'
  const message = `makes ${images} pictures; a ${tier} membership allows ${caps.imagesPerJob} a job`
  return [{ path, message }]
}

/**
 * The bound that a person's hold must keep, from what their row says. Only the account document
 * knows exactly how many jobs are open, so the counting is done there, in one compare-and-set:
 * of any number of requests at once exactly those that fit get their hold.
 */
export async function holdCapOf(
  store: Pick<JobStore, 'runningIds'>,
  { owner, limits }: JobRow,
): Promise<HoldCap | null> {
  if (limits === undefined || limits === null || owner.user === null) return null
  const runningJobIds = new Set(await store.runningIds(owner.user))
  return limits.overLimit === 'Reject'
    ? { jobsMax: limits.runningJobs, counts: 'All', runningJobIds }
    : { jobsMax: limits.queuedJobs, counts: 'Waiting', runningJobIds }
}

export function overCap(
  { overLimit, runningJobs, queuedJobs }: JobLimits,
  { running, waiting }: Extract<HoldOutcome, { readonly kind: 'OverCap' }>,
): AppError {
  if (overLimit === 'Reject') {
    const details = { limit: runningJobs, count: running + waiting, running, queued: waiting }
    const message = `you have ${details.count} open jobs; your membership allows ${runningJobs}`
    return new AppError('limit.running_jobs', message, { details, retryAfterSeconds })
  }
  const details = { limit: queuedJobs, count: waiting, running, queued: waiting }
  const message = `${waiting} of your jobs wait; your membership allows ${queuedJobs}`
  return new AppError('limit.queued_jobs', message, { details, retryAfterSeconds })
}

/**
 * Refuses when one more job of a person would go over the cap of their hold. Rows are counted, of
 * the department whose account would pay, so it is for those who only ask.
 */
export async function requireOwnerRoom(
  store: Pick<JobStore, 'countOpen'>,
  { owner: { department, user }, limits }: JobRow,
): Promise<void> {
  if (limits === undefined || limits === null || user === null) return
  const owner = { department, user }
  const [waiting, running] = await Promise.all([
    store.countOpen(owner, { state: 'Waiting', countMax }),
    store.countOpen(owner, { state: 'Running', countMax }),
  ])
  const [counted, jobsMax] =
    limits.overLimit === 'Reject'
      ? [waiting + running, limits.runningJobs]
      : [waiting, limits.queuedJobs]
  if (counted >= jobsMax) throw overCap(limits, { kind: 'OverCap', running, waiting })
  if (waiting + running >= accountLimits.openHoldsMax) throw queueFull()
}

/** An account that is full has exactly as many holds as it may have. */
export function queueFull(): AppError {
  const { openHoldsMax: limit } = accountLimits
  const message = `${limit} jobs of this account are open; no more are allowed`
  const details = { limit, count: limit }
  return new AppError('credits.queue_full', message, { details, retryAfterSeconds })
}

/**
 * Refuses when as many jobs of the department wait as it allows. Rows are counted and not
 * reserved: requests at the same moment may go over the limit by their number.
 */
export async function requireDepartmentRoom(
  store: Pick<JobStore, 'countOpen'>,
  department: Department | undefined,
): Promise<void> {
  const limit = department?.spec.limits?.queuedJobs
  if (department === undefined || limit === undefined) return
  const owner = { department: department.metadata.name }
  const queued = await store.countOpen(owner, { state: 'Waiting', countMax: limit })
  if (queued < limit) return
  const running = await store.countOpen(owner, { state: 'Running', countMax })
  const details = { limit, count: queued, running, queued }
  const message = `${queued} jobs of your department wait; it allows ${limit}`
  throw new AppError('limit.department_queue', message, { details, retryAfterSeconds })
}

/** More running jobs are not told apart. */
const countMax = 10_000
