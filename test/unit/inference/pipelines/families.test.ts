import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { openPackFiles } from '../../../../src/inference/models/pack-files.ts'
import { encodePicture } from '../../../../src/inference/pipelines/encode-picture.ts'
import { countModelCalls } from '../../../../src/inference/pipelines/generate-images.ts'
import {
  closeModel,
  type DiffusionModel,
  openModel,
} from '../../../../src/inference/pipelines/model.ts'
import { prepareJob } from '../../../../src/inference/pipelines/prepare-job.ts'
import { previewLatents } from '../../../../src/inference/pipelines/preview.ts'
import type { ImageRequest } from '../../../../src/inference/pipelines/request.ts'
import { entry } from '../../../../src/inference/pipelines/tensors.ts'
import { goldens, image, make, mask, request } from './tiny-models.ts'

const models = path.resolve(goldens, '../extra-data/models')
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function open(folder: string): Promise<DiffusionModel> {
  const model = await openModel(await openPackFiles(folder), { threads: 1 })
  closing.push(() => closeModel(model))
  return model
}

async function copyOf(folder: string): Promise<string> {
  const copy = await mkdtemp(path.join(tmpdir(), 'atelier-pack-'))
  closing.push(() => rm(copy, { recursive: true }))
  await cp(folder, copy, { recursive: true })
  return copy
}

const { scheduler: _, ...ownScheduler } = request
const square: ImageRequest = { ...ownScheduler, height: 64 }
const imageToImage: ImageRequest = { ...square, task: 'ImageToImage', image, strength: 0.3 }

describe('latent consistency models', () => {
  test('take the guidance into the UNet and need no negative prompt', async () => {
    const model = await open(path.join(models, 'tiny-lcm'))
    const { embeds, traits } = await prepareJob(model, { ...square, guidanceScale: 8 })
    expect(traits.guidanceWidth).toBe(16)
    expect(embeds.negative).toBeUndefined()
    const [weak, strong] = [
      await make(model, { ...square, guidanceScale: 2 }),
      await make(model, { ...square, guidanceScale: 8 }),
    ]
    expect(weak.pictures).not.toEqual(strong.pictures)
  })

  test('run all their steps from an image, over a part of the schedule', async () => {
    const model = await open(path.join(models, 'tiny-lcm'))
    const { scheduler: __, ...seen } = imageToImage
    expect(countModelCalls(model, { ...seen, steps: 4 })).toBe(4)
    expect(countModelCalls(model, { ...seen, steps: 4, scheduler: 'Euler' })).toBe(1)
    const repaint = { ...seen, task: 'Inpaint', mask, steps: 4 } as const
    expect(countModelCalls(model, repaint)).toBe(1)
  })

  test('refuse more steps than the part of the schedule has', async () => {
    const model = await open(path.join(models, 'tiny-lcm'))
    const asked = { ...imageToImage, steps: 40 }
    expect(() => countModelCalls(model, asked)).toThrow(/original_inference_steps/)
  })
})

describe('the legacy layout', () => {
  test('tells by its graphs what no file says', async () => {
    const model = await open(path.join(models, 'tiny-sd-legacy'))
    expect(model).toMatchObject({ latentFactor: 8, latentChannels: 4, isXl: false })
    const { error, pictures } = await make(model, { ...square, imagesPerRun: 2, images: 2 })
    expect(error).toBeUndefined()
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [64, 64],
      [64, 64],
    ])
  })

  test('has an encoder that draws by itself', async () => {
    const model = await open(path.join(models, 'tiny-sd-legacy'))
    const { mean, deviation } = await encodePicture(model, image)
    expect(mean.shape).toEqual([1, 4, 8, 8])
    expect(deviation).toBeUndefined()
  })
})

describe('half precision', () => {
  test('is fine for an autoencoder that does not overflow', async () => {
    const model = await open(path.join(models, 'tiny-sd-fp16'))
    expect((await make(model, imageToImage)).error).toMatchObject({ code: 'request.invalid' })
    expect((await make(model, { ...imageToImage, strength: 0.7 })).error).toBeUndefined()
  })

  test('is refused for the autoencoder of Stable Diffusion XL, which overflows', async () => {
    const folder = await copyOf(path.join(goldens, 'models/tiny-sdxl'))
    const half = path.join(models, 'tiny-sd-fp16/vae_decoder/model.onnx')
    await cp(half, path.join(folder, 'vae_decoder/model.onnx'))
    await expect(open(folder)).rejects.toMatchObject({
      code: 'model.pack_invalid',
      message: expect.stringMatching(/^vae_decoder\/model\.onnx: .*float16.*force_upcast/),
    })
  })
})

describe('a pack', () => {
  test('with a small decoder makes previews in full size', async () => {
    const model = await open(path.join(models, 'tiny-sd2'))
    const { calls } = await make(model, square)
    const { width, height } = await previewLatents(model, entry(calls[0].toPreview(), 0))
    expect([width, height]).toEqual([64, 64])
  })

  test('without an encoder says so when an image comes', async () => {
    const folder = await copyOf(path.join(goldens, 'models/tiny-sd'))
    await rm(path.join(folder, 'vae_encoder'), { recursive: true })
    const model = await open(folder)
    const { error } = await make(model, { ...imageToImage, strength: 1 })
    expect(error).toMatchObject({ code: 'inference.unsupported' })
    expect((await make(model, square)).error).toBeUndefined()
  })

  test('with a transformer is refused by name', async () => {
    const folder = await copyOf(path.join(goldens, 'models/tiny-sd'))
    await cp(path.join(folder, 'unet'), path.join(folder, 'transformer'), { recursive: true })
    await rm(path.join(folder, 'unet'), { recursive: true })
    await expect(open(folder)).rejects.toMatchObject({
      code: 'inference.unsupported',
      message: expect.stringContaining('FlowMatch'),
    })
  })
})
