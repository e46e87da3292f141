import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import {
  closeStableDiffusion,
  openStableDiffusion,
  type StableDiffusion,
} from '../../../src/inference/pipelines/stable-diffusion.ts'
import {
  textToImage,
  type TextToImageRequest,
} from '../../../src/inference/pipelines/text-to-image.ts'
import type { Picture } from '../../../src/inference/pipelines/decode.ts'

const demo = path.resolve(import.meta.dirname, '../../../models/demo')
const request: TextToImageRequest = {
  prompt: 'a photo of a dent on leather',
  negativePrompt: '',
  width: 64,
  height: 48,
  steps: 5,
  guidanceScale: 3,
  seed: 4_294_967_295,
  scheduler: 'Heun',
  images: 2,
}
let model: StableDiffusion

beforeAll(async () => {
  model = await openStableDiffusion(await openPackFiles(demo), 1)
})
afterAll(() => closeStableDiffusion(model))

type Seen = { readonly steps: string[]; readonly stages: string[]; readonly pictures: Picture[] }

async function make(
  change: Partial<TextToImageRequest> = {},
  abortAt?: string,
): Promise<Seen & { readonly error: unknown }> {
  const cancel = new AbortController()
  const seen: Seen = { steps: [], stages: [], pictures: [] }
  const events = {
    onStage: (stage: string, image: number) => seen.stages.push(`${stage} ${image}`),
    onStep: (step: number, image: number) => {
      seen.steps.push(`${image}:${step}`)
      if (seen.steps.at(-1) === abortAt) cancel.abort()
    },
    onPicture: (picture: Picture) => void seen.pictures.push(picture),
  }
  const control = { signal: cancel.signal, events }
  const error = await textToImage(model, { ...request, ...change }, control).then(
    () => undefined,
    (caught: unknown) => caught,
  )
  return { ...seen, error }
}

describe('text to image', () => {
  test('tells its stages and steps in order, also when a step takes two evaluations', async () => {
    const { steps, stages, pictures } = await make()
    expect(stages).toEqual([
      'EncodingPrompt 0',
      'Denoising 0',
      'Decoding 0',
      'Denoising 1',
      'Decoding 1',
    ])
    const ofFirst = steps
      .filter((step) => step.startsWith('0:'))
      .map((step) => Number(step.slice(2)))
    expect(ofFirst).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 5])
    expect(steps).toHaveLength(18)
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [64, 48],
      [64, 48],
    ])
  })

  test.each(['0:2', '1:3'])('makes no further step after an abort at %s', async (at) => {
    const { steps, pictures, error } = await make({ scheduler: 'Euler' }, at)
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(steps.at(-1)).toBe(at)
    expect(pictures).toHaveLength(at.startsWith('1') ? 1 : 0)
  })

  test('runs the seed after the last one as seed 0', async () => {
    const both = await make({ steps: 2 })
    const second = await make({ steps: 2, seed: 0, images: 1 })
    expect(both.pictures[1]).toEqual(second.pictures[0])
  })

  test('ignores the negative prompt at guidance 1', async () => {
    const one = { guidanceScale: 1, images: 1, steps: 2 }
    const without = await make(one)
    const withNegative = await make({ ...one, negativePrompt: 'metal' })
    expect(withNegative.pictures).toEqual(without.pictures)
  })

  test('heeds the negative prompt above guidance 1', async () => {
    const more = { guidanceScale: 4, images: 1, steps: 2 }
    const without = await make(more)
    const withNegative = await make({ ...more, negativePrompt: 'metal' })
    expect(withNegative.pictures).not.toEqual(without.pictures)
  })
})
