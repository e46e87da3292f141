import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import { resolveParameters } from '../../shared/domain/job-parameters.ts'
import { priceBasis } from '../../shared/domain/price.ts'
import type { Caches } from '../caches.ts'
import { modelsOf } from '../generation-job/admission-input.ts'

/** Megapixel-steps of a job; undefined for one that can never run. */
export type WorkOf = (job: GenerationJob) => number | undefined

/** Remembered for each object of the cache, because a forecast asks again and again. */
export function openWorkOf(caches: Pick<Caches, 'models'>): WorkOf {
  const known = new WeakMap<GenerationJob, { readonly model: Model; readonly work?: number }>()
  return (job) => {
    const { model, loras } = modelsOf(caches, job)
    if (model === undefined) return undefined
    const before = known.get(job)
    if (before?.model === model) return before.work
    const work = computeWork(job, { model, loras: loras.map((lora) => lora ?? null) })
    known.set(job, work === undefined ? { model } : { model, work })
    return work
  }
}

type Models = { readonly model: Model; readonly loras: readonly (Model | null)[] }

/** A seed that would be drawn changes nothing about the work. */
function computeWork({ spec }: GenerationJob, models: Models): number | undefined {
  const resolution = resolveParameters(spec, models, () => 0)
  if (resolution.kind === 'Refused') return undefined
  const { parameters } = resolution
  const { family } = models.model.spec
  const { images, modelCalls, megapixels } = priceBasis({ task: spec.task, parameters, family })
  return images === 0 ? 0 : (megapixels * modelCalls) / images
}
