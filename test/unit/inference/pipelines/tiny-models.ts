import { readFileSync } from 'node:fs'
import path from 'node:path'
import { decode as decodePng } from 'fast-png'
import { openPackFiles } from '../../../../src/inference/models/pack-files.ts'
import type { Mask } from '../../../../src/inference/images/mask.ts'
import type { Picture } from '../../../../src/inference/images/picture.ts'
import {
  generateImages,
  type ModelCall,
} from '../../../../src/inference/pipelines/generate-images.ts'
import { type DiffusionModel, openModel } from '../../../../src/inference/pipelines/model.ts'
import type { ImageRequest } from '../../../../src/inference/pipelines/request.ts'

export const goldens = path.resolve(import.meta.dirname, '../../../goldens/data')

export async function openTiny(name: string): Promise<DiffusionModel> {
  return openModel(await openPackFiles(path.join(goldens, 'models', name)), { threads: 1 })
}

export const request: ImageRequest = {
  task: 'TextToImage',
  prompt: 'a photo of a dent on steel',
  negativePrompt: '',
  width: 64,
  height: 48,
  steps: 3,
  guidanceScale: 4,
  seed: 5,
  scheduler: 'Euler a',
  images: 1,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
  loras: [],
}

/** The goldens' picture, 64x64, and a mask of its left half. */
export const image: Picture = readRgb(path.join(goldens, 'images/in_64x64.png'))
export const mask: Mask = {
  width: 64,
  height: 64,
  values: Uint8Array.from({ length: 64 * 64 }, (_, at) => (at % 64 < 32 ? 255 : 0)),
}

function readRgb(file: string): Picture {
  const { width, height, data } = decodePng(readFileSync(file))
  return { width, height, pixels: Uint8Array.from(data) }
}

export type Seen = {
  readonly stages: readonly string[]
  readonly calls: readonly ModelCall[]
  readonly pictures: readonly Picture[]
  readonly error: unknown
}

/** Runs a request to its end, or until `abortAt` (`image:index` of a model call). */
export async function make(
  model: DiffusionModel,
  change: Partial<ImageRequest> = {},
  abortAt?: string,
): Promise<Seen> {
  const cancel = new AbortController()
  const stages: string[] = []
  const calls: ModelCall[] = []
  const pictures: Picture[] = []
  const events = {
    onStage: (stage: string, at: number) => void stages.push(`${stage} ${at}`),
    onModelCall: (call: ModelCall) => {
      calls.push(call)
      if (`${call.image}:${call.index}` === abortAt) cancel.abort()
    },
    onPicture: (picture: Picture) => void pictures.push(picture),
  }
  const asked = { ...request, ...change }
  const error = await generateImages(model, asked, { signal: cancel.signal, events }).then(
    () => undefined,
    (caught: unknown) => caught,
  )
  return { stages, calls, pictures, error }
}
