import type { Work } from '../../shared/wire/internal.ts'
import { AppError } from '../../shared/errors.ts'
import { manifestName, type ReadManifest, readLoraManifest } from '../models/manifest.ts'
import { requireMemory } from '../models/memory-need.ts'
import { packError } from '../models/pack-error.ts'
import { totalBytes } from '../models/pack-files.ts'
import type { GenerateRequest, LoraPack } from '../runner/protocol.ts'
import { readRequest } from './read-request.ts'

/** What this pod has for its job. */
export type PodResources = {
  /** Where the pack of a LoRA lies; `index` is its place in the job's `loras`. */
  readonly loraFolder: (lora: { readonly name: string }, index: number) => string | undefined
  readonly memoryBytes: number
  /** Pictures that share a run of the UNet, for a job's batch size. */
  readonly imagesPerRun: (batchSize: number) => number
}

/**
 * Checks that this pod has the wanted model, that the model can do what is asked, and that it fits
 * into the pod's memory. Inputs are fetched afterwards.
 */
export async function readWork(
  work: Work,
  pack: ReadManifest,
  pod: PodResources,
): Promise<Omit<GenerateRequest, 'inputs'>> {
  const wanted = work.model.digest
  if (wanted !== undefined && wanted !== pack.digest) {
    const problem = `digest is ${pack.digest}, the Model ${work.model.name} wants ${wanted}`
    throw packError({ file: manifestName }, problem)
  }
  const request = readRequest(work, pack.manifest)
  const loras = work.loras.map((lora, index) => locateLora(lora, pod.loraFolder(lora, index)))
  const imagesPerRun = pod.imagesPerRun(work.parameters.batchSize ?? 1)
  const need = { ...request, imagesPerRun, loras: await Promise.all(loras.map(measureLora)) }
  requireMemory(pack.manifest, need, pod.memoryBytes)
  const model = { name: work.model.name, digest: pack.digest }
  return { ...request, imagesPerRun, loras, model, embedRecipe: work.embedRecipe }
}

function locateLora(lora: Work['loras'][number], folder: string | undefined): LoraPack {
  if (folder !== undefined) return { ...lora, folder }
  throw new AppError('platform.misconfigured', `the pod has no folder for the LoRA ${lora.name}`)
}

async function measureLora({ folder }: LoraPack): Promise<{ readonly sizeBytes: number }> {
  const { manifest } = await readLoraManifest(folder)
  return { sizeBytes: totalBytes(manifest.files) }
}
