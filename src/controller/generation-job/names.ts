import type { GenerationJob } from '../../shared/crd/generation-job.ts'

/** Names of children are computed from the parent's uid, so that making one twice is noticed. */
export function attemptJobName(uid: string, attempt: number): string {
  return `gj-${uid}-a${attempt}`
}

/** Matches the names of attempt Jobs and of the pods that Kubernetes makes for them. */
const childName = /^gj-([0-9a-f-]{36})-a([0-9]{1,4})(?:-[a-z0-9]+)?$/

/** The job and attempt that a Job or pod belongs to by its name; its owner is checked elsewhere. */
export function parseChildName(
  name: string,
): { readonly uid: string; readonly attempt: number } | undefined {
  const match = childName.exec(name)
  if (match === null) return undefined
  const [, uid = '', attempt = ''] = match
  return { uid, attempt: Number(attempt) }
}

/** Holds, entries, objects and reports are keyed by this. */
export function jobIdOf(job: GenerationJob): string {
  return job.spec.jobId ?? job.metadata.uid
}
