import { describe, expect, test } from 'vitest'
import { guidanceEmbedding } from '../../../../src/inference/pipelines/guidance-embedding.ts'
import { RecentValues } from '../../../../src/inference/pipelines/recent-values.ts'
import { readUnetTraits } from '../../../../src/inference/pipelines/unet-traits.ts'
import type { Port } from '../../../../src/inference/runtime/component.ts'
import type { ModelSettings } from '../../../../src/inference/models/model-settings.ts'

const settings: ModelSettings = {
  pipelineClass: 'StableDiffusionPipeline',
  scheduler: {},
  textEncoders: ['text_encoder'],
  latents: { scale: 1, needsFloat32: false },
  zeroesAbsentNegative: true,
  takesAestheticScore: false,
}

type Shapes = Readonly<Record<string, Port['shape']>>

function traitsOf(shapes: Shapes, change: Partial<ModelSettings> = {}) {
  const inputs = Object.entries({ sample: ['batch', 4, 'h', 'w'], ...shapes }).map(
    ([name, shape]) => ({ name, type: 'float32', shape }),
  )
  const at = { settings: { ...settings, ...change }, latentChannels: 4, file: 'unet/model.onnx' }
  return readUnetTraits({ inputs }, at)
}

describe('the kind of a UNet', () => {
  test.each([
    [{}, {}, { repaints: false, sizeCount: undefined, guidanceWidth: undefined }],
    [{ sample: ['b', 9, 'h', 'w'] }, {}, { repaints: true }],
    [{ sample: ['b', 'c', 'h', 'w'] }, {}, { repaints: false }],
    [{ sample: [1, 4, 64, 96] }, {}, { batch: 1, height: 64, width: 96 }],
    [{ time_ids: ['b', 6] }, {}, { sizeCount: 6 }],
    [{ time_ids: ['b', 'n'] }, { takesAestheticScore: true }, { sizeCount: 5 }],
    [{ timestep_cond: ['b', 16] }, {}, { guidanceWidth: 16 }],
    [{ timestep_cond: ['b', 'd'] }, { guidanceWidth: 32 }, { guidanceWidth: 32 }],
    [{ timestep_cond: ['b', 'd'] }, {}, { guidanceWidth: 256 }],
    [{ encoder_hidden_states: ['b', 77, 768] }, {}, { tokens: 77 }],
    [{ encoder_hidden_states: ['b', 's', 768] }, {}, { tokens: undefined }],
  ] as const)('is told by the inputs %o', (shapes, change, traits) => {
    expect(traitsOf(shapes, change)).toMatchObject(traits)
  })

  test.each([
    [{ sample: ['b', 8, 'h', 'w'] }, 'takes 8 channels'],
    [{ sample: [2, 4, 'h', 'w'] }, 'takes 2 pictures'],
  ] as const)('is refused with the inputs %o', (shapes, words) => {
    expect(() => traitsOf(shapes)).toThrow(`unet/model.onnx#sample: ${words}`)
  })
})

describe('the guidance embedding', () => {
  // diffusers 0.42.1, get_guidance_scale_embedding(guidance − 1, width)
  test.each([
    [8.5, [-0.851235867, -0.38778165, 0.681638718, -0.524783254, 0.921751261, 0.731688917]],
    [8.5, [-0.851235867, 0.681638718, -0.524783254, 0.731688917, 0]],
    [1, [0, 0, 1, 1]],
  ])('of guidance %d is what diffusers computes: %j', (guidance, expected) => {
    const { data, shape } = guidanceEmbedding(guidance, expected.length)
    expect(shape).toEqual([1, expected.length])
    for (const [at, value] of expected.entries()) expect(data[at]).toBeCloseTo(value, 6)
  })

  test('is as exact at the usual width, where phases are thousands', () => {
    const { data } = guidanceEmbedding(8.5, 256)
    const expected = { 1: 0.8421311975, 7: 0.1843790859, 100: -0.8241929412, 200: -0.9390370846 }
    for (const [at, value] of Object.entries(expected)) {
      expect(data[Number(at)]).toBeCloseTo(value, 3)
    }
  })
})

describe('values kept for the next job', () => {
  test('are made once, and the one unused for longest makes room', async () => {
    const made: string[] = []
    const values = new RecentValues<string>(2)
    const ask = (key: string) =>
      values.get(key, async () => {
        made.push(key)
        return key
      })
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) expect(await ask(key)).toBe(key)
    expect(made).toEqual(['a', 'b', 'c', 'b'])
  })

  test('are made again after a failure', async () => {
    const values = new RecentValues<string>(2)
    await expect(values.get('a', async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await expect(values.get('a', async () => 'now')).resolves.toBe('now')
  })
})
