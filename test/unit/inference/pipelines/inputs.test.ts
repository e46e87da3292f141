import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openPackFiles } from '../../../../src/inference/models/pack-files.ts'
import {
  closeModel,
  type DiffusionModel,
  openModel,
} from '../../../../src/inference/pipelines/model.ts'
import { planRun, drawInputs } from '../../../../src/inference/pipelines/plan.ts'
import { prepareJob } from '../../../../src/inference/pipelines/prepare-job.ts'
import type { ImageRequest } from '../../../../src/inference/pipelines/request.ts'
import { makeSchedule } from '../../../../src/inference/pipelines/schedule.ts'
import { TorchGenerator } from '../../../../src/inference/random/torch-generator.ts'
import { goldens, image, make, mask, openTiny, request } from './tiny-models.ts'

const square = { ...request, height: 64 }
let plain: DiffusionModel
let repainting: DiffusionModel

beforeAll(async () => {
  plain = await openTiny('tiny-sd')
  repainting = await openTiny('tiny-sd-inpaint')
})
afterAll(async () => {
  await closeModel(plain)
  await closeModel(repainting)
})

async function planOf(model: DiffusionModel, asked: ImageRequest) {
  const job = await prepareJob(model, asked)
  const schedule = makeSchedule(model, asked)
  const draws = [drawInputs(job, new TorchGenerator(1))]
  return { ...planRun(job, { ...schedule, draws }), ...schedule, noise: draws[0].noise.data }
}

describe('a request that the model cannot do', () => {
  const small = { ...image, width: 32, height: 32, pixels: new Uint8Array(32 * 32 * 3) }
  test.each([
    ['width', { width: 63 }],
    ['height', { height: 0 }],
    ['image', { task: 'ImageToImage' }],
    ['image', { task: 'ImageToImage', image: small }],
    ['image', { task: 'Inpaint', mask }],
    ['mask', { task: 'Inpaint', image }],
    ['mask', { task: 'Inpaint', image, mask: { ...mask, width: 32 } }],
    ['strength', { task: 'ImageToImage', image, strength: 0.3 }],
    ['strength', { task: 'Inpaint', image, mask, strength: 0 }],
  ] as const)('is refused by the name of its field: %s %o', async (field, change) => {
    const { error, calls } = await make(plain, { ...square, ...change })
    expect(error).toMatchObject({ code: 'request.invalid', fields: [{ path: field }] })
    expect(calls).toEqual([])
  })

  test.each(['TextToImage', 'ImageToImage'] as const)(
    'is refused when the UNet repaints and the task is %s',
    async (task) => {
      const { error } = await make(repainting, { ...square, task, image })
      expect(error).toMatchObject({ code: 'request.invalid', fields: [{ path: 'task' }] })
    },
  )

  test('names the schedulers when it does not know one', async () => {
    const { error } = await make(plain, { scheduler: 'Fastest' })
    expect(error).toMatchObject({ fields: [{ path: 'scheduler' }] })
  })
})

describe('image to image', () => {
  test.each([
    { steps: 10, strength: 0.29, calls: 2 },
    { steps: 10, strength: 0.7, calls: 7 },
    { steps: 100, strength: 0.29, calls: 28 },
    { steps: 4, strength: 1, calls: 4 },
    { steps: 10, strength: undefined, calls: 8 },
  ])('runs $calls steps of $steps at strength $strength', ({ steps, strength, calls }) => {
    const asked = { task: 'ImageToImage' as const, steps, scheduler: 'Euler' }
    const schedule = makeSchedule(plain, { ...asked, ...(strength !== undefined && { strength }) })
    expect(schedule.scheduler.timesteps.length - schedule.firstIndex).toBe(calls)
  })

  test('noises the input also at full strength', async () => {
    const task = { task: 'ImageToImage', image, strength: 1 } as const
    const { latents, noise, scheduler } = await planOf(plain, { ...square, ...task })
    const pure = noise.map((value) => value * scheduler.initNoiseSigma)
    expect(latents.data).not.toEqual(pure)
  })
})

describe('inpainting', () => {
  const inpaint = { ...square, task: 'Inpaint', image, mask } as const

  test('starts from pure noise at full strength, which is the default', async () => {
    for (const model of [plain, repainting]) {
      const { latents, noise, scheduler } = await planOf(model, inpaint)
      expect(latents.data).toEqual(noise.map((value) => value * scheduler.initNoiseSigma))
    }
  })

  test('feeds the mask to a UNet of 9 channels, and blends for one of 4', async () => {
    const fed = await planOf(repainting, inpaint)
    expect(fed.extraChannels?.shape).toEqual([1, 5, 16, 16])
    expect(fed.kept).toBeUndefined()
    const blended = await planOf(plain, inpaint)
    expect(blended.extraChannels).toBeUndefined()
    // Both see the same mask: the left half is repainted.
    const row = Array.from({ length: 16 }, (_, x) => (x < 8 ? 1 : 0))
    expect([...(fed.extraChannels?.data.subarray(0, 16) ?? [])]).toEqual(row)
    expect([...(blended.kept?.mask.subarray(0, 16) ?? [])]).toEqual(row)
  })

  test('brings the kept half of the latents back, whatever the other half becomes', async () => {
    const { kept } = await planOf(plain, inpaint)
    const isKept = (_: number, at: number) => kept?.mask[at] === 0
    const [metal, wood] = [
      await make(plain, { ...inpaint, prompt: 'metal' }),
      await make(plain, { ...inpaint, prompt: 'wood' }),
    ].map(({ calls }) => calls.at(-1)?.latents.data)
    expect(metal?.filter(isKept)).toHaveLength(4 * 16 * 8)
    expect(metal?.filter(isKept)).toEqual(wood?.filter(isKept))
    expect(metal).not.toEqual(wood)
  })

  test('takes a UNet of its own where a pack has one', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atelier-pack-'))
    const models = path.join(goldens, 'models')
    await cp(path.join(models, 'tiny-sd'), folder, { recursive: true })
    const own = path.join(models, 'tiny-sd-inpaint/unet')
    await cp(own, path.join(folder, 'unet_inpaint'), { recursive: true })
    const both = await openModel(await openPackFiles(folder), { threads: 1 })
    try {
      expect((await make(both, square)).pictures).toEqual((await make(plain, square)).pictures)
      expect((await planOf(both, inpaint)).extraChannels?.shape).toEqual([1, 5, 16, 16])
    } finally {
      await closeModel(both)
      await rm(folder, { recursive: true })
    }
  })
})
