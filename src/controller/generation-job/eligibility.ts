import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { GenerationJobReason } from '../../shared/crd/conditions.ts'
import {
  addResources,
  type Resources,
  resourcesOf,
} from '../../shared/domain/admission/resources.ts'
import { isModelVisible } from '../../shared/domain/known-model.ts'
import { findCondition, isTrue } from '../conditions.ts'

/** The verdict is final; the schema refuses any change of it. */
export function isTerminal(job: GenerationJob): boolean {
  const status = findCondition(job.status?.conditions, 'Succeeded')?.status
  return status === 'True' || status === 'False'
}

export function isReserved(job: GenerationJob): boolean {
  return isTrue(job.status?.conditions, 'CreditsReserved')
}

/** The Models that a job names; `loras` in the order of `spec.parameters.loras`. */
export type JobModels = {
  readonly model?: Model | undefined
  readonly loras: readonly (Model | undefined)[]
}

type Reason = GenerationJobReason['ModelReady']
/** One Model that a job names, and the field that names it. */
export type NamedModel = {
  readonly name: string
  readonly field: string
  readonly model: Model | undefined
}
export type Readiness = NamedModel & { readonly reason: Reason }

/**
 * Whether the job's model and LoRAs can serve it, as a reason of the condition ModelReady: of the
 * first that cannot. Whether a LoRA fits its base model is checked with the other parameters.
 */
export function readinessOf(job: GenerationJob, { model, loras }: JobModels): Readiness {
  const { modelRef, parameters } = job.spec
  const base = { name: modelRef.name, field: 'spec.modelRef.name', model }
  const added = (parameters.loras ?? []).map(({ name }, index) => {
    return { name, field: `spec.parameters.loras[${index}].name`, model: loras[index] }
  })
  const all = [base, ...added].map((named) => ({ ...named, reason: reasonOf(job, named.model) }))
  return all.find(({ reason }) => reason !== 'Ready') ?? { ...base, reason: 'Ready' }
}

export function modelsAreReady(job: GenerationJob, models: JobModels): boolean {
  return readinessOf(job, models).reason === 'Ready'
}

function reasonOf({ spec }: GenerationJob, model: Model | undefined): Reason {
  if (model === undefined) return 'ModelNotFound'
  if (!isModelVisible(model.spec, spec.owner.department)) return 'NotVisible'
  if (!model.spec.tasks.includes(spec.task)) return 'UnsupportedTask'
  return isTrue(model.status?.conditions, 'Ready') ? 'Ready' : 'ModelNotReady'
}

export type ClusterFacts = { readonly allowCpu: boolean; readonly clusterGpus: number }

/** A base model with the LoRAs on it, all of them there. */
export type ModelSet = { readonly model: Model; readonly loras: readonly Model[] }

/**
 * What one attempt asks for: the model's share and each LoRA's. On a cluster without any GPU these
 * are 0 GPUs where that is permitted.
 */
export function requestOf(
  { model, loras }: ModelSet,
  { allowCpu, clusterGpus }: ClusterFacts,
): Resources {
  const onCpu = allowCpu && clusterGpus === 0 && model.spec.runsOn.includes('Cpu')
  const all = [model, ...loras].map(({ spec: { resources } }) => {
    const { gpus, cpu, memory } = resources
    return { ...resourcesOf({ cpu, memory }), gpus: onCpu ? 0 : gpus }
  })
  return all.reduce(addResources)
}

/** Undefined while one of them is missing. */
export function modelSetOf({ model, loras }: JobModels): ModelSet | undefined {
  const there = loras.filter((lora) => lora !== undefined)
  if (model === undefined || there.length < loras.length) return undefined
  return { model, loras: there }
}

/** Asks for nothing that keeps it from starting: neither suspended nor to be ended. */
export function wantsToRun(job: GenerationJob): boolean {
  const { deletionTimestamp } = job.metadata
  if (isTerminal(job)) return false
  return deletionTimestamp === undefined && !job.spec.cancel && !job.spec.suspend
}

/** An attempt failed and the pause before the next one is not over. */
export function isBackingOff({ status }: GenerationJob, nowMs: number): boolean {
  return status?.retryTime !== undefined && Date.parse(status.retryTime) > nowMs
}
