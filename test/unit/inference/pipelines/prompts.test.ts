import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { readLora } from '../../../../src/inference/lora/read-lora.ts'
import {
  encodePrompts,
  type PromptEmbeds,
  type PromptRequest,
} from '../../../../src/inference/pipelines/encode-prompt.ts'
import { closeModel, type DiffusionModel } from '../../../../src/inference/pipelines/model.ts'
import { goldens, make, openTiny, request } from './tiny-models.ts'

const long = 'rusty bolt, '.repeat(40)
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

type Traits = Parameters<typeof encodePrompts>[2]
const free: Traits = { tokens: undefined, guidanceWidth: undefined }

async function embed(
  change: Partial<PromptRequest>,
  { of = model, traits = free }: { readonly of?: DiffusionModel; readonly traits?: Traits } = {},
): Promise<PromptEmbeds> {
  return encodePrompts(of, { ...request, ...change }, traits)
}

function mean({ prompt: { states } }: PromptEmbeds): number {
  return states.data.reduce((sum, value) => sum + value, 0) / states.data.length
}

describe('prompts', () => {
  test.each([
    { promptOverflow: 'Truncate' },
    { promptSyntax: 'Weighted' },
    { promptSyntax: 'Weighted', prompt: 'a (photo:1) of a dent on (steel:1.0)' },
  ] as const)(
    'that are short and unweighted are embedded as diffusers does: %o',
    async (change) => {
      const { prompt } = await embed({ ...request, promptOverflow: 'Truncate' })
      expect((await embed(change)).prompt).toEqual(prompt)
    },
  )

  test('become several windows when they are long, and as many for the other text', async () => {
    const { prompt, negative } = await embed({ prompt: long })
    expect(prompt.states.shape).toEqual([1, 3 * 77, 32])
    expect(negative?.states.shape).toEqual([1, 3 * 77, 32])
    const cut = await embed({ prompt: long, promptOverflow: 'Truncate' })
    expect(cut.prompt.states.data).toEqual(prompt.states.data.subarray(0, 77 * 32))
    const swapped = await embed({ prompt: '', negativePrompt: long })
    expect(swapped).toEqual({ prompt: negative, negative: prompt })
  })

  test('that are long make another picture than when they are cut off', async () => {
    const whole = await make(model, { prompt: long })
    const cut = await make(model, { prompt: long, promptOverflow: 'Truncate' })
    expect(whole.error).toBeUndefined()
    expect(whole.pictures).not.toEqual(cut.pictures)
  })

  test('keep the mean of a window that they weigh', async () => {
    const plain = await embed({ prompt: 'a rusty bolt' })
    const weighted = await embed({ prompt: 'a (rusty:1.6) bolt', promptSyntax: 'Weighted' })
    expect(weighted.prompt.states.data).not.toEqual(plain.prompt.states.data)
    expect(mean(weighted)).toBeCloseTo(mean(plain), 7)
  })

  test('take brackets for text in the plain syntax', async () => {
    const plain = await embed({ prompt: 'a (rusty:1.6) bolt' })
    const escaped = await embed({ prompt: 'a \\(rusty:1.6\\) bolt', promptSyntax: 'Weighted' })
    expect(escaped.prompt).toEqual(plain.prompt)
  })

  test.each([
    ['prompt', { prompt: long }],
    ['negativePrompt', { prompt: 'bolt', negativePrompt: long }],
  ] as const)('that are too long for a fixed graph are refused: %s', async (field, change) => {
    const traits = { ...free, tokens: 77 }
    await expect(embed(change, { traits })).rejects.toMatchObject({
      code: 'request.invalid',
      fields: [{ path: field }],
    })
    await expect(
      embed({ ...change, promptOverflow: 'Truncate' }, { traits }),
    ).resolves.toBeDefined()
  })

  test.each([
    { change: { guidanceScale: 1 }, traits: free },
    { change: { guidanceScale: 0 }, traits: free },
    { change: { guidanceScale: 8 }, traits: { ...free, guidanceWidth: 16 } },
  ])('need no second pass: %o', async ({ change, traits }) => {
    expect(await embed(change, { traits })).not.toHaveProperty('negative')
  })

  test('are embedded again when a LoRA changes the encoder', async () => {
    const file = 'kohya.safetensors'
    const lora = readLora(readFileSync(path.join(goldens, 'lora', file)), file)
    const applied = (scale: number) => ({ loras: [{ name: 'rust', scale, lora }] })
    const plain = await make(model)
    expect((await make(model, applied(1))).pictures).not.toEqual(plain.pictures)
    // Through the graph with the LoRA's inputs, but with nothing in them.
    const nothing = await make(model, applied(0))
    const largest = nothing.pictures[0].pixels.map((value, i) =>
      Math.abs(value - plain.pictures[0].pixels[i]),
    )
    expect(Math.max(...largest)).toBeLessThanOrEqual(1)
    expect((await make(model)).pictures).toEqual(plain.pictures)
  })
})

describe('prompts of Stable Diffusion XL', () => {
  test('join both encoders and pool the first window', async () => {
    const { prompt } = await embed({ prompt: long }, { of: xl })
    expect(prompt.states.shape).toEqual([1, 3 * 77, 64])
    const cut = await embed({ prompt: long, promptOverflow: 'Truncate' }, { of: xl })
    expect(prompt.pooled).toEqual(cut.prompt.pooled)
    expect(prompt.pooled?.shape).toEqual([1, 40])
  })

  test('are zeros when the negative prompt is absent, but not when it is empty', async () => {
    const { negativePrompt: _, ...rest } = request
    const absent = await encodePrompts(xl, rest, free)
    expect(absent.negative?.states.data.every((value) => value === 0)).toBe(true)
    expect(absent.negative?.pooled?.data.every((value) => value === 0)).toBe(true)
    const empty = await embed({ negativePrompt: '' }, { of: xl })
    expect(empty.negative?.states.data.some((value) => value !== 0)).toBe(true)
    const settings = { ...xl.settings, zeroesAbsentNegative: false }
    expect(await encodePrompts({ ...xl, settings }, rest, free)).toEqual(empty)
  })
})
