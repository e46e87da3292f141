import type { ComponentFacts } from '../models/component-facts.ts'
import { isInpaintingUnet } from '../models/family-rules.ts'
import { type LoraManifest, type Manifest, manifestName, readFamily } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import type { PackFiles } from '../models/pack-files.ts'
import type { Command } from './command.ts'
import { estimateMemory } from './estimate-memory.ts'
import { findSizes } from './find-sizes.ts'

type Family = Manifest['family']
type Described = Pick<Manifest, 'type' | 'family' | 'tasks' | 'defaults' | 'sizes' | 'memory'>
type Found = {
  readonly command: Pick<Command, 'family'>
  readonly pack: PackFiles
  readonly components: readonly ComponentFacts[]
}

/** Values that people start from; LCM's are those of its own pipeline in diffusers. */
const usual = {
  StableDiffusion1: { steps: 25, guidanceScale: 7.5 },
  StableDiffusion2: { steps: 25, guidanceScale: 7.5 },
  StableDiffusionXL: { steps: 30, guidanceScale: 5 },
  LatentConsistency: { steps: 4, guidanceScale: 8.5 },
} as const satisfies Record<Family, Pick<Manifest['defaults'], 'steps' | 'guidanceScale'>>

/** A LoRA's file does not say for which family it was made. */
export function describeLora({
  family,
}: Pick<Command, 'family'>): Pick<LoraManifest, 'type' | 'family'> {
  if (family !== undefined) return { type: 'Lora', family: readFamily(family) }
  const problem = 'say for which family the LoRA was made, such as --family StableDiffusion1'
  throw packError({ file: manifestName, field: 'family' }, problem)
}

/** Reads family, tasks, sizes and defaults of a base model from its graphs and settings files. */
export async function describeBase({ command, pack, components }: Found): Promise<Described> {
  const byName = new Map(components.map((component) => [component.name, component]))
  const family = readFamily(command.family ?? (await findFamily(pack, byName)))
  const { sizes, ...native } = await findSizes(pack, byName)
  return {
    type: 'Base',
    family,
    tasks: findTasks(byName),
    defaults: { ...native, ...usual[family] },
    sizes,
    memory: estimateMemory({ family, components, sizes }),
  }
}

type Components = ReadonlyMap<string, ComponentFacts>

/**
 * By the UNet's inputs. Stable Diffusion 1 and 2 have the same ones; of the second only models
 * that predict velocity are told apart, the others need --family.
 */
async function findFamily(pack: PackFiles, components: Components): Promise<string> {
  if (pack.has('transformer/model.onnx')) return 'FlowMatch'
  const inputs = components.get('unet')?.inputs.map(({ name }) => name) ?? []
  if (inputs.includes('timestep_cond')) return 'LatentConsistency'
  if (inputs.includes('time_ids')) return 'StableDiffusionXL'
  const scheduler = await pack.readJson('scheduler/scheduler_config.json')
  const isVelocity = scheduler['prediction_type'] === 'v_prediction'
  return isVelocity ? 'StableDiffusion2' : 'StableDiffusion1'
}

function findTasks(components: Components): Manifest['tasks'] {
  if (isInpaintingUnet(components)) return ['Inpaint']
  if (!components.has('vae_encoder')) return ['TextToImage']
  return ['TextToImage', 'ImageToImage', 'Inpaint']
}
