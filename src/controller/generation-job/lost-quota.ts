import type { GenerationJobStatus } from '../../shared/crd/generation-job.ts'
import { isHeldByQuota, podOf } from './attempt.ts'
import type { AttemptView, Facts, Observed } from './observed.ts'
import { activeSecondsAfter } from './times.ts'

/**
 * Whether an attempt is to end because Kueue has taken its place back, or is no longer there to
 * give it one. Kueue would later give the same Job another pod, but the api serves only the pod
 * that the status names: what follows is the next attempt, with a Job of its own. While its
 * Workload is inactive the Job stays, because a new one would bring an active Workload.
 */
export function hasLostQuota(observed: QuotaFacts, attempt: AttemptView): boolean {
  if (attempt.job?.quota === undefined) return false
  const isHeld = isHeldByQuota(attempt)
  if (isHeld && observed.kueue?.isServed === false) return true
  if (observed.kueue?.workload?.active === false) return false
  return isHeld ? hadPod(observed, attempt) : hasOtherPod(observed, attempt)
}

type QuotaFacts = Pick<Facts, 'job' | 'kueue'>

function hasOtherPod({ job }: QuotaFacts, attempt: AttemptView): boolean {
  return attempt.pods.length > 0 && podOf(job, attempt) === undefined
}

function hadPod({ job }: QuotaFacts, { number, pods }: AttemptView): boolean {
  const written = job.status?.attempt
  return pods.length > 0 || (written?.number === number && written.podUID !== undefined)
}

/** The job is not active while its Workload is inactive: the time of its pod is over. */
export function pausedFields(
  observed: Observed,
  attempt: AttemptView,
): Partial<GenerationJobStatus> {
  const { job, kueue, nowMs } = observed
  const written = job.status?.attempt
  const isPaused = isHeldByQuota(attempt) && attempt.pods.length === 0
  if (!isPaused || kueue?.workload?.active !== false) return {}
  if (written?.number !== attempt.number || written.startTime === undefined) return {}
  const activeSeconds = activeSecondsAfter(job, { kind: 'Live', attempt }, nowMs)
  return { activeSeconds, attempt: { ...written, startTime: undefined } }
}
