import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { kueueLabels } from './names.ts'

/** Whose quota decides when an attempt may start: a LocalQueue of Kueue in the job's namespace. */
export type QuotaQueue = {
  readonly localQueue: string
  readonly priorityClass?: string | undefined
}

export type QuotaSettings = {
  /** The cluster serves Kueue's Workloads. */
  readonly isServed: boolean
  /** For jobs that name none; absent: these are ours alone. */
  readonly localQueue?: string | undefined
}

/** The LocalQueue that the job names itself; an empty label names none. */
export function namedQueueOf({ metadata }: GenerationJob): string | undefined {
  const name = metadata.labels?.[kueueLabels.queue]
  return name === '' ? undefined : name
}

/**
 * The queue of Kueue that the job goes through, if it does. A job that insists on a pool never
 * does: a pool pod is not the job's own. Without Kueue the label means nothing.
 */
export function quotaQueueOf(
  job: GenerationJob,
  { isServed, localQueue: byDefault }: QuotaSettings,
): QuotaQueue | undefined {
  const localQueue = namedQueueOf(job) ?? byDefault
  if (!isServed || localQueue === undefined || job.spec.execution === 'Pooled') return undefined
  const priorityClass = job.metadata.labels?.[kueueLabels.priorityClass]
  return priorityClass === undefined || priorityClass === ''
    ? { localQueue }
    : { localQueue, priorityClass }
}

/** Names of objects that Kueue would refuse in a label, so that no Job could be made. */
const objectName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/** Why no Job can be made for this queue, naming the label. */
export function queueFault({ localQueue, priorityClass }: QuotaQueue): string | undefined {
  if (!objectName.test(localQueue)) return faultOf(kueueLabels.queue, localQueue)
  if (priorityClass === undefined || objectName.test(priorityClass)) return undefined
  return faultOf(kueueLabels.priorityClass, priorityClass)
}

function faultOf(label: string, value: string): string {
  return `metadata.labels[${label}]: ${value} is not the name of an object.`
}
