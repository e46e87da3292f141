import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Progress } from '../../../shared/wire/internal.ts'
import type { AttemptRef } from './attempts.ts'
import type { JobEvents } from './events.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

export type ProgressDeps = {
  readonly store: JobStore
  readonly events: JobEvents
  readonly clock: Clock
}

/** Takes the progress of pods: at once to whoever watches, seldom to the database. */
export type ProgressDesk = {
  /** Errors: `attempt.sequence` for a snapshot that is not newer, `job.not_found`. */
  readonly accept: (ref: AttemptRef, progress: Progress) => Promise<void>
}

const limits = {
  writeEveryMs: 5000,
  publishEveryMs: 400,
  previewEveryMs: 500,
  jobsMax: 10_000,
} as const

type Known = {
  readonly owner: JobRow['owner']
  attempt: number
  sequence: number
  imagesDone: number
  isFetching: boolean
  revision: number
  writtenMs: number
  publishedMs: number
  previewedMs: number
}

/**
 * What is newest is remembered per process; another replica may know something newer, which the
 * guarded write finds out. Lost memory is read from the row again.
 */
export function openProgressDesk(deps: ProgressDeps): ProgressDesk {
  const memory = new Map<string, Known>()
  return {
    accept: async (ref, progress) => {
      const known = memory.get(ref.jobId) ?? (await recall(deps.store, ref.jobId))
      const current = remember(memory, ref.jobId, known)
      refuseOld(current, ref, progress)
      const isDue = isWriteDue(current, progress, deps.clock.nowMs())
      Object.assign(current, { attempt: ref.attempt, sequence: progress.sequence })
      publish(deps, { current, ref, progress })
      if (isDue) await write(deps, { current, ref, progress })
    },
  }
}

async function recall(store: JobStore, jobId: string): Promise<Known> {
  const row = await store.get(jobId)
  if (row === null) throw new AppError('job.not_found', 'there is no such job')
  return {
    owner: row.owner,
    attempt: row.progress?.attempt ?? 0,
    sequence: row.progress?.sequence ?? 0,
    imagesDone: row.progress?.imagesDone ?? 0,
    isFetching: isFetching(row.progress),
    revision: row.revision,
    writtenMs: 0,
    publishedMs: 0,
    previewedMs: 0,
  }
}

/** What another request has remembered meanwhile counts. The oldest jobs make room. */
function remember(memory: Map<string, Known>, jobId: string, known: Known): Known {
  const current = memory.get(jobId) ?? known
  memory.set(jobId, current)
  const [oldest] = memory.keys()
  if (memory.size > limits.jobsMax && oldest !== undefined) memory.delete(oldest)
  return current
}

function refuseOld(known: Known, { attempt }: AttemptRef, { sequence }: Progress): void {
  const isNewer =
    attempt > known.attempt || (attempt === known.attempt && sequence > known.sequence)
  if (isNewer) return
  throw new AppError('attempt.sequence', `sequence ${known.sequence} is known already`)
}

/** Of a job that is done in no time it must not stay written that it fetches its model. */
function isWriteDue(known: Known, progress: Progress, nowMs: number): boolean {
  return (
    nowMs - known.writtenMs >= limits.writeEveryMs ||
    progress.imagesDone !== known.imagesDone ||
    isFetching(progress) !== known.isFetching
  )
}

function isFetching(progress: Pick<Progress, 'stage'> | null): boolean {
  return progress?.stage === 'FetchingModel'
}

type Step = { readonly current: Known; readonly ref: AttemptRef; readonly progress: Progress }

function publish({ events, clock }: ProgressDeps, { current, ref, progress }: Step): void {
  const nowMs = clock.nowMs()
  if (nowMs - current.publishedMs < limits.publishEveryMs) return
  current.publishedMs = nowMs
  const shown = withDuePreview(current, progress, nowMs)
  events.publish({ jobId: ref.jobId, revision: current.revision, progress: shown }, current.owner)
}

/** Previews are large: at most two a second travel on, whatever a pod sends. */
function withDuePreview(current: Known, progress: Progress, nowMs: number): Progress {
  const { preview, ...counts } = progress
  if (preview === undefined || nowMs - current.previewedMs < limits.previewEveryMs) return counts
  current.previewedMs = nowMs
  return progress
}

/** Null from the store: the job has ended or another replica has written something newer. */
async function write({ store, clock }: ProgressDeps, { current, ref, progress }: Step) {
  current.writtenMs = clock.nowMs()
  current.imagesDone = progress.imagesDone
  current.isFetching = isFetching(progress)
  const { preview: _passing, ...counts } = progress
  const changed = await store.writeProgress(ref.jobId, { ...counts, attempt: ref.attempt })
  if (changed !== null) current.revision = changed.revision
}
