import { isNotFound } from '../../platform/kube/errors.ts'
import type { GenerationJob, GenerationJobStatus } from '../../shared/crd/generation-job.ts'
import { AppError } from '../../shared/errors.ts'
import { jobsNamespace } from '../../shared/names.ts'
import type { AttemptRef } from '../features/jobs/attempts.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { Identity } from './identity.ts'

export type AuthoriseDeps = {
  /** From the cache: jobs with this id. */
  readonly jobsById: (jobId: string) => readonly GenerationJob[]
  /** From the cache: the job whose current attempt has this pod for itself. */
  readonly jobsByPod: (podUID: string) => readonly GenerationJob[]
  /** One live read; throws what the API server answers. */
  readonly readJob: (ref: { namespace: string; name: string }) => Promise<GenerationJob>
  readonly getRow: (jobId: string) => Promise<JobRow | null>
}

/** Errors: `auth.forbidden`. */
export function requireController(identity: Identity): void {
  if (identity.kind === 'Controller') return
  throw new AppError('auth.forbidden', 'only the controller may call this')
}

/**
 * Lets through only the pod that the controller named for this attempt: holding the right service
 * account or owner reference proves nothing, because anybody who may make pods can have both.
 * Errors: `auth.forbidden` for good, `attempt.not_current` for an older attempt or one that the
 * API server does not show yet.
 */
export async function requireCurrentPod(
  deps: AuthoriseDeps,
  identity: Identity,
  ref: AttemptRef,
): Promise<void> {
  if (identity.kind !== 'JobPod') throw forbidden()
  const [cached] = deps.jobsById(ref.jobId)
  const seen = cached === undefined ? 'NotYet' : judge(cached, identity, ref.attempt)
  if (seen === 'Current') return
  if (seen === 'NotYet' && !runsElsewhere(deps, identity, ref)) {
    if ((await judgeLive(deps, identity, ref)) === 'Current') return
    throw notCurrent()
  }
  throw seen === 'Fenced' ? notCurrent() : forbidden()
}

type Pod = Identity & { readonly kind: 'JobPod' }
type Attempt = NonNullable<GenerationJobStatus['attempt']>
type Verdict = 'Current' | 'Fenced' | 'Foreign' | 'NotYet'

function judge(job: GenerationJob, pod: Pod, attempt: number): Verdict {
  const current = job.status?.attempt
  if (!mayComeFrom(pod, job.metadata.namespace, current)) return 'Foreign'
  if (current === undefined || current.number < attempt) return 'NotYet'
  if (current.number > attempt) return 'Fenced'
  if (current.podUID === undefined || current.podUID === '') return 'NotYet'
  return current.podUID === pod.podUID ? 'Current' : 'Foreign'
}

/**
 * A pod serves jobs of its own namespace. Only those of the platform's pools may serve others, in
 * slots: what is not known yet may still become that.
 */
function mayComeFrom(pod: Pod, namespace: string | undefined, current: Attempt | undefined) {
  if (pod.namespace === namespace) return true
  if (pod.namespace !== jobsNamespace) return false
  return current?.podUID !== pod.podUID || current.pool !== undefined
}

/** A pod of a pool has no job for itself, so nothing is known about it here. */
function runsElsewhere(deps: AuthoriseDeps, { podUID }: Pod, { jobId }: AttemptRef): boolean {
  return deps.jobsByPod(podUID).some(({ spec, metadata }) => (spec.jobId ?? metadata.uid) !== jobId)
}

/** Before answering 409 the truth is asked once: the cache may be a moment behind. */
async function judgeLive(deps: AuthoriseDeps, pod: Pod, ref: AttemptRef): Promise<Verdict> {
  const row = await deps.getRow(ref.jobId)
  if (row === null) throw forbidden()
  const job = await readLive(deps, row)
  const verdict = job === null ? judgeDeleted(row, pod, ref.attempt) : judge(job, pod, ref.attempt)
  if (verdict === 'Foreign') throw forbidden()
  return verdict
}

async function readLive(deps: AuthoriseDeps, row: JobRow): Promise<GenerationJob | null> {
  const { namespace, name, uid } = row.resource
  try {
    const job = await deps.readJob({ namespace, name })
    return uid === null || job.metadata.uid === uid ? job : null
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

/** A deleted job's last pod may still hand in what it has: the job is settled from its report. */
function judgeDeleted({ resource, attempt }: JobRow, pod: Pod, number: number): Verdict {
  if (![resource.namespace, jobsNamespace].includes(pod.namespace)) return 'Foreign'
  if (attempt === null || attempt.podUID === null) return 'NotYet'
  if (attempt.number !== number) return 'Fenced'
  return attempt.podUID === pod.podUID ? 'Current' : 'Foreign'
}

function forbidden(): AppError {
  return new AppError('auth.forbidden', 'this pod does not run the job')
}

function notCurrent(): AppError {
  const message = 'this attempt is not the current one, or not known to be yet'
  return new AppError('attempt.not_current', message, { retryAfterSeconds: 1 })
}
