import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countModelCalls } from '../../../../src/inference/pipelines/generate-images.ts'
import { closeModel, type DiffusionModel } from '../../../../src/inference/pipelines/model.ts'
import { image, make, mask, openTiny, request } from './tiny-models.ts'

let model: DiffusionModel

beforeAll(async () => {
  model = await openTiny('tiny-sd')
})
afterAll(() => closeModel(model))

function largest({ data }: { readonly data: Float32Array }): number {
  return data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
}

const inpaint = { task: 'Inpaint', image, mask, height: 64, strength: 0.7 } as const

describe('making images', () => {
  test('tells its stages and model calls in order, also of second-order methods', async () => {
    const { stages, calls, pictures } = await make(model, { images: 2, scheduler: 'Heun' })
    expect(stages).toEqual([
      'EncodingPrompt 0',
      'Denoising 0',
      'Decoding 0',
      'Denoising 1',
      'Decoding 1',
    ])
    const told = calls.map(({ image: at, index, total, images }) => [at, index, total, images])
    expect(told).toEqual([0, 1].flatMap((at) => [0, 1, 2, 3, 4].map((index) => [at, index, 5, 1])))
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [64, 48],
      [64, 48],
    ])
  })

  test.each([
    { task: 'TextToImage' },
    { task: 'ImageToImage', image, height: 64, strength: 0.7 },
    inpaint,
    { scheduler: 'PNDM' },
    { ...inpaint, scheduler: 'DPM2' },
  ] as const)('counts the model calls of %o before they are made', async (change) => {
    const { calls, error } = await make(model, change)
    expect(error).toBeUndefined()
    expect(countModelCalls(model, { ...request, ...change })).toBe(calls.length)
  })

  test.each([{}, { task: 'ImageToImage', image, height: 64 }, inpaint] as const)(
    'gives the same bytes for the same seed, and others for another: %o',
    async (change) => {
      const [first, again] = [await make(model, change), await make(model, change)]
      expect(again.pictures).toEqual(first.pictures)
      expect((await make(model, { ...change, seed: 6 })).pictures).not.toEqual(first.pictures)
    },
  )

  test.each([{}, inpaint] as const)(
    'gives each picture of a job the bytes it has when asked for alone: %o',
    async (change) => {
      const together = await make(model, { ...change, images: 3 })
      for (const at of [0, 1, 2]) {
        const alone = await make(model, { ...change, seed: request.seed + at })
        expect(together.pictures[at]).toEqual(alone.pictures[0])
      }
    },
  )

  test.each([{}, inpaint, { scheduler: 'DPM++ 2M SDE Karras' }] as const)(
    'keeps pictures that share their runs within one grey level: %o',
    async (change) => {
      const single = await make(model, { ...change, images: 3 })
      const shared = await make(model, { ...change, images: 3, imagesPerRun: 2 })
      expect(shared.calls.map((call) => [call.image, call.images])).toContainEqual([2, 1])
      expect(shared.calls.length).toBe((single.calls.length * 2) / 3)
      expect(shared.pictures).toHaveLength(3)
      for (const [at, { pixels }] of shared.pictures.entries()) {
        const differences = pixels.map((value, i) =>
          Math.abs(value - single.pictures[at].pixels[i]),
        )
        expect(Math.max(...differences)).toBeLessThanOrEqual(1)
      }
    },
  )

  test.each(['0:0', '1:1'])('makes no further model call after an abort at %s', async (at) => {
    const { calls, pictures, error } = await make(model, { images: 2 }, at)
    expect(error).toMatchObject({ name: 'AbortError' })
    expect(`${calls.at(-1)?.image}:${calls.at(-1)?.index}`).toBe(at)
    expect(pictures).toHaveLength(at.startsWith('1') ? 1 : 0)
  })

  test('starts at the picture that is missing', async () => {
    const all = await make(model, { images: 3 })
    const rest = await make(model, { images: 3, firstImage: 1 })
    expect(rest.pictures).toEqual(all.pictures.slice(1))
    expect(rest.stages[0]).toBe('EncodingPrompt 1')
  })

  test('runs the seed after the last one as seed 0', async () => {
    const both = await make(model, { images: 2, seed: 2 ** 32 - 1 })
    expect(both.pictures[1]).toEqual((await make(model, { seed: 0 })).pictures[0])
  })

  test('ignores the negative prompt at guidance 1 and heeds it above', async () => {
    const negative = { negativePrompt: 'metal' }
    const one = { guidanceScale: 1 }
    expect((await make(model, { ...one, ...negative })).pictures).toEqual(
      (await make(model, one)).pictures,
    )
    expect((await make(model, negative)).pictures).not.toEqual((await make(model)).pictures)
  })

  test('hands out latents at the size the model sees, for previews', async () => {
    const { calls } = await make(model, { scheduler: 'Euler', steps: 4 })
    const [first] = calls
    expect(largest(first.toPreview())).toBeLessThan(largest(first.latents))
    expect(calls.at(-1)?.toPreview().data).toEqual(calls.at(-1)?.latents.data)
  })
})
