import { isPictureTask, pictureTasks } from '../../shared/crd/generation-job.ts'
import type { ComponentFacts } from './component-facts.ts'
import { type Manifest, manifestName } from './manifest.ts'
import { packError } from './pack-error.ts'

export type PackContents = {
  readonly manifest: Manifest
  readonly components: ReadonlyMap<string, ComponentFacts>
  /** vae_decoder/config.json says that half precision overflows. */
  readonly forcesUpcast: boolean
}

type Check = {
  readonly file: string
  readonly field?: string
  readonly message: string
  readonly violated: boolean
}

/** Inputs by which the families' UNets differ (optimum's names); sizes are not looked at. */
const xlInputs = ['text_embeds', 'time_ids']
const guidanceInput = 'timestep_cond'
const unetFile = 'unet/model.onnx'

/**
 * Refuses a pack whose parts are not those of its family and tasks: the first violated rule.
 * @throws AppError model.pack_invalid with file and field.
 */
export function requireFamily(contents: PackContents): void {
  const violated = [
    ...componentChecks(contents),
    ...portChecks(contents),
    ...taskChecks(contents),
    ...inpaintChecks(contents),
    upcastCheck(contents),
  ].find((check) => check.violated)
  if (violated !== undefined) throw packError(violated, violated.message)
}

/** Graphs that a pack of this family must have for these tasks. */
function neededComponents({
  family,
  tasks,
}: Pick<Manifest, 'family' | 'tasks'>): readonly string[] {
  return [
    'text_encoder',
    ...(family === 'StableDiffusionXL' ? ['text_encoder_2'] : []),
    'unet',
    'vae_decoder',
    ...(tasks.some((task) => task !== 'TextToImage') ? ['vae_encoder'] : []),
  ]
}

/** Whether a UNet repaints under a mask: it takes latents, mask and masked latents. */
export function isInpaintingUnet(
  components: PackContents['components'],
  name: 'unet' | 'unet_inpaint' = 'unet',
): boolean {
  const latents = channelsOf(components, 'vae_decoder', 'latent_sample')
  return latents !== undefined && channelsOf(components, name, 'sample') === 2 * latents + 1
}

function componentChecks({ manifest, components }: PackContents): readonly Check[] {
  return neededComponents(manifest).map((name) => ({
    file: `${name}/model.onnx`,
    message: `the file is missing; ${manifest.family} needs it for ${manifest.tasks.join(', ')}`,
    violated: !components.has(name),
  }))
}

function portChecks({ manifest, components }: PackContents): readonly Check[] {
  const { family } = manifest
  const ports = new Set(components.get('unet')?.inputs.map(({ name }) => name))
  const at = { file: manifestName, field: 'family' }
  return [
    ...['sample', 'timestep', 'encoder_hidden_states'].map((input) => ({
      file: unetFile,
      message: `has no input ${input}`,
      violated: !ports.has(input),
    })),
    {
      ...at,
      message: `is StableDiffusionXL, but ${unetFile} has no input ${xlInputs.join(' and ')}`,
      violated: family === 'StableDiffusionXL' && !xlInputs.every((input) => ports.has(input)),
    },
    {
      ...at,
      message: `is ${family}, but ${unetFile} has the inputs of StableDiffusionXL`,
      // A latent consistency model may be made from either.
      violated: isPlain(family) && xlInputs.some((input) => ports.has(input)),
    },
    {
      ...at,
      message: `is LatentConsistency, but ${unetFile} has no input ${guidanceInput}`,
      violated: family === 'LatentConsistency' && !ports.has(guidanceInput),
    },
    {
      ...at,
      message: `is ${family}, but ${unetFile} has the input ${guidanceInput} of LatentConsistency`,
      violated: family !== 'LatentConsistency' && ports.has(guidanceInput),
    },
  ]
}

function isPlain(family: Manifest['family']): boolean {
  return family === 'StableDiffusion1' || family === 'StableDiffusion2'
}

function taskChecks({ manifest, components }: PackContents): readonly Check[] {
  const repaints = isInpaintingUnet(components)
  return manifest.tasks.flatMap((task, index) => {
    const at = { file: manifestName, field: `tasks[${index}]` }
    return [
      {
        ...at,
        message: `is ${task}; this engine makes ${pictureTasks.join(', ')}`,
        violated: !isPictureTask(task),
      },
      {
        ...at,
        message: `is ${task}, but ${unetFile} repaints under a mask: it makes Inpaint only`,
        violated: repaints && task !== 'Inpaint',
      },
    ]
  })
}

/** A UNet for Inpaint beside the one for the other tasks must be one that repaints. */
function inpaintChecks({ manifest, components }: PackContents): readonly Check[] {
  const at = { file: 'unet_inpaint/model.onnx' }
  const exists = components.has('unet_inpaint')
  return [
    {
      ...at,
      field: 'sample',
      message: 'does not take latents, mask and masked latents (twice the channels and one)',
      violated: exists && !isInpaintingUnet(components, 'unet_inpaint'),
    },
    {
      ...at,
      message: 'is there, but the manifest does not list the task Inpaint',
      violated: exists && !manifest.tasks.includes('Inpaint'),
    },
  ]
}

/** Re-saved configurations of other families say force_upcast too, without overflowing. */
function upcastCheck({ components, forcesUpcast, manifest }: PackContents): Check {
  const decoder = components.get('vae_decoder')
  const isXl = manifest.family === 'StableDiffusionXL'
  return {
    file: 'vae_decoder/model.onnx',
    field: 'latent_sample',
    message:
      'is float16, but force_upcast in vae_decoder/config.json says that half precision ' +
      'overflows there: export the autoencoder in float32',
    violated: isXl && forcesUpcast && decoder?.inputs[0]?.type === 'float16',
  }
}

function channelsOf(
  components: PackContents['components'],
  component: string,
  input: string,
): number | undefined {
  const port = components.get(component)?.inputs.find(({ name }) => name === input)
  const channels = port?.shape[1]
  return typeof channels === 'number' ? channels : undefined
}
