import { isPictureTask } from '../../shared/crd/generation-job.ts'
import type { Size } from '../images/picture.ts'
import { type Manifest, manifestName } from '../models/manifest.ts'
import { packError } from '../models/pack-error.ts'
import { encodePng } from '../output/png.ts'
import type { GenerateRequest, InputFile } from '../runner/protocol.ts'

/**
 * One picture of one step at the smallest size, for each task of the model: together they open
 * every graph and touch every weight that a job may need.
 * @throws AppError model.pack_invalid for a model that makes no pictures.
 */
export function warmRequests(manifest: Manifest): readonly GenerateRequest[] {
  const tasks = manifest.tasks.filter(isPictureTask)
  if (tasks.length === 0) {
    throw packError({ file: manifestName, field: 'tasks' }, 'a pool serves models of pictures')
  }
  return tasks.map((task) => warmRequest(manifest, task))
}

function warmRequest(
  { name, defaults, sizes }: Manifest,
  task: GenerateRequest['task'],
): GenerateRequest {
  const [width, height] = [sizes.width.min, sizes.height.min]
  return {
    task,
    prompt: 'warm',
    width,
    height,
    steps: 1,
    // Above 1 both passes are run, as most jobs do.
    guidanceScale: defaults.guidanceScale ?? 2,
    seed: 0,
    // Every family can use it, and it needs no second step.
    scheduler: 'Euler',
    images: 1,
    promptSyntax: 'Plain',
    promptOverflow: 'Chunk',
    ...(task !== 'TextToImage' && { strength: 1 }),
    inputs: inputsOf(task, { width, height }),
    loras: [],
    model: { name },
    embedRecipe: false,
  }
}

function inputsOf(task: GenerateRequest['task'], size: Size): readonly InputFile[] {
  const bytes = plainPng(size)
  const image = { role: 'Image', field: 'inputs[0]', bytes } as const
  if (task === 'TextToImage') return []
  return task === 'ImageToImage' ? [image] : [image, { role: 'Mask', field: 'inputs[1]', bytes }]
}

/** White, so that as a mask it repaints everything. */
function plainPng({ width, height }: Size): Uint8Array {
  return encodePng({ width, height, pixels: new Uint8Array(width * height * 3).fill(255) })
}
