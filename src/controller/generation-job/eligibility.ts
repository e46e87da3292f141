import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { GenerationJobReason } from '../../shared/crd/conditions.ts'
import { type Resources, resourcesOf } from '../../shared/domain/admission/resources.ts'
import { findCondition, isTrue } from '../conditions.ts'

/** The verdict is final; the schema refuses any change of it. */
export function isTerminal(job: GenerationJob): boolean {
  const status = findCondition(job.status?.conditions, 'Succeeded')?.status
  return status === 'True' || status === 'False'
}

export function isReserved(job: GenerationJob): boolean {
  return isTrue(job.status?.conditions, 'CreditsReserved')
}

/** Whether the job's model can serve it, as a reason of the condition ModelReady. */
export function modelReadiness(
  job: GenerationJob,
  model: Model | undefined,
): GenerationJobReason['ModelReady'] {
  if (model === undefined) return 'ModelNotFound'
  if (!isVisible(model, job.spec.owner.department)) return 'NotVisible'
  if (!model.spec.tasks.includes(job.spec.task)) return 'UnsupportedTask'
  return isTrue(model.status?.conditions, 'Ready') ? 'Ready' : 'ModelNotReady'
}

function isVisible({ spec }: Model, department: string): boolean {
  return spec.visibility === 'Public' || (spec.departments ?? []).includes(department)
}

export type ClusterFacts = { readonly allowCpu: boolean; readonly clusterGpus: number }

/** What one attempt asks for: on a cluster without any GPU, 0 GPUs where that is permitted. */
export function requestOf(model: Model, { allowCpu, clusterGpus }: ClusterFacts): Resources {
  const { gpus, cpu, memory } = model.spec.resources
  const onCpu = allowCpu && clusterGpus === 0 && model.spec.runsOn.includes('Cpu')
  return { ...resourcesOf({ cpu, memory }), gpus: onCpu ? 0 : gpus }
}

/** Asks for nothing that keeps it from starting: neither suspended nor to be ended. */
export function wantsToRun(job: GenerationJob): boolean {
  const { deletionTimestamp } = job.metadata
  return deletionTimestamp === undefined && !job.spec.cancel && !job.spec.suspend
}

/** An attempt failed and the pause before the next one is not over. */
export function isBackingOff({ status }: GenerationJob, nowMs: number): boolean {
  return status?.retryTime !== undefined && Date.parse(status.retryTime) > nowMs
}
