import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeLatents } from '../../../../src/inference/pipelines/decode.ts'
import {
  encodePicture,
  maskLatents,
  sampleLatents,
} from '../../../../src/inference/pipelines/encode-picture.ts'
import { closeModel, type DiffusionModel } from '../../../../src/inference/pipelines/model.ts'
import { previewLatents } from '../../../../src/inference/pipelines/preview.ts'
import { TorchGenerator } from '../../../../src/inference/random/torch-generator.ts'
import { image, make, mask, openTiny } from './tiny-models.ts'

let model: DiffusionModel
let xl: DiffusionModel

beforeAll(async () => {
  model = await openTiny('tiny-sd')
  xl = await openTiny('tiny-sdxl')
})
afterAll(async () => {
  await closeModel(model)
  await closeModel(xl)
})

const shape = [1, 4, 2, 2]
const latents = { data: Float32Array.from({ length: 16 }, (_, i) => (i - 8) / 8), shape }

describe('decoding', () => {
  test.each([Number.NaN, Infinity])('refuses latents with %d in place of black', async (value) => {
    const data = latents.data.with(3, value)
    await expect(decodeLatents(model, { data, shape })).rejects.toMatchObject({
      code: 'inference.unsupported',
      message: expect.stringContaining('not finite'),
    })
  })

  test('undoes what the encoder does to means and deviations of a pack that has them', async () => {
    const scaled = {
      ...model,
      settings: {
        ...model.settings,
        latents: {
          ...model.settings.latents,
          means: [0.5, -1, 2, 0],
          deviations: [2, 0.5, 1, 3],
        },
      },
    }
    const { mean } = await encodePicture(model, image)
    const sampled = sampleLatents(scaled, { mean }, new TorchGenerator(1))
    const plain = sampleLatents(model, { mean }, new TorchGenerator(1))
    expect(sampled.data).not.toEqual(plain.data)
    const [first, second] = [
      await decodeLatents(scaled, sampled),
      await decodeLatents(model, plain),
    ]
    const differences = first.pixels.map((value, i) => Math.abs(value - second.pixels[i]))
    expect(Math.max(...differences)).toBeLessThanOrEqual(1)
  })
})

describe('encoding', () => {
  test('draws from the distribution, but not for encoders that drew by themselves', async () => {
    const { mean, deviation } = await encodePicture(model, image)
    expect(deviation).toHaveLength(mean.data.length)
    const drawn = new TorchGenerator(1)
    const first = sampleLatents(model, { mean, ...(deviation && { deviation }) }, drawn)
    const untouched = new TorchGenerator(1)
    const legacy = sampleLatents(model, { mean }, untouched)
    expect(first.data).not.toEqual(legacy.data)
    expect(untouched.randn(4)).toEqual(new TorchGenerator(1).randn(4))
    expect(drawn.randn(4)).not.toEqual(new TorchGenerator(1).randn(4))
  })

  test('takes every n-th value of a mask, from half white on', () => {
    const values = Uint8Array.from([127, 0, 128, 0, 0, 0, 0, 0, 255, 0, 0, 0, 9, 9, 9, 9])
    const { data, shape: size } = maskLatents({ width: 4, height: 4, values }, 2)
    expect([...data]).toEqual([0, 1, 1, 0])
    expect(size).toEqual([1, 1, 2, 2])
  })

  test('does not see what is under the mask', async () => {
    const painted = { ...image, pixels: image.pixels.slice() }
    for (let y = 0; y < 64; y++) painted.pixels.fill(7, y * 192, y * 192 + 96)
    const masked = await encodePicture(model, image, mask)
    expect(await encodePicture(model, painted, mask)).toEqual(masked)
    expect(await encodePicture(model, painted)).not.toEqual(await encodePicture(model, image))
  })
})

describe('previews', () => {
  test('are one pixel per latent, by the factors of the family', async () => {
    for (const of of [model, xl]) {
      const { width, height, pixels } = await previewLatents(of, latents)
      expect([width, height]).toEqual([2, 2])
      expect(new Set(pixels).size).toBeGreaterThan(1)
    }
    expect(await previewLatents(xl, latents)).not.toEqual(await previewLatents(model, latents))
  })

  test("are made by the pack's own factors where it has some", async () => {
    const only = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 0],
      [0, 0, 0],
    ] as const
    const preview = { rgbFactors: only, rgbBias: [0, 0, 1] }
    const { pixels } = await previewLatents({ ...model, preview }, latents)
    expect([...pixels.subarray(0, 3)]).toEqual([0, 64, 255])
  })

  test('are grey for latents of another number of channels', async () => {
    const wide = { data: new Float32Array(64).fill(0.2), shape: [1, 16, 2, 2] }
    const { pixels } = await previewLatents(model, wide)
    expect(new Set(pixels).size).toBe(1)
  })

  test('follow a job', async () => {
    const { calls } = await make(model)
    const previews = await Promise.all(calls.map((call) => previewLatents(model, call.toPreview())))
    expect(previews.map(({ width, height }) => [width, height])).toEqual([
      [16, 12],
      [16, 12],
      [16, 12],
    ])
    expect(previews[0]).not.toEqual(previews[2])
  })
})
