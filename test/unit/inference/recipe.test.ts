import { describe, expect, test } from 'vitest'
import { formatRecipe } from '../../../src/inference/output/recipe.ts'
import type { GenerateRequest } from '../../../src/inference/runner/protocol.ts'

const request: GenerateRequest = {
  task: 'TextToImage',
  prompt: 'a scratch on metal',
  negativePrompt: '',
  width: 64,
  height: 32,
  steps: 20,
  scheduler: 'DPM++ 2M Karras',
  guidanceScale: 3,
  seed: 7,
  images: 4,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
  inputs: [],
  loras: [],
  model: { name: 'demo' },
}

function recipeOf(change: Partial<GenerateRequest>): string {
  const picture = { width: 64, height: 32 }
  return formatRecipe({ ...request, ...change }, { picture, seed: 4_294_967_295 })
}

describe('formatRecipe', () => {
  test('writes the three parts that other programs read', () => {
    const model = { name: 'demo', digest: 'a'.repeat(64) }
    expect(recipeOf({ negativePrompt: 'blurry', model })).toBe(
      'a scratch on metal\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M Karras, ' +
        'CFG scale: 3, Seed: 4294967295, Size: 64x32, Model hash: aaaaaaaaaa, Model: demo, ' +
        'Version: atelier',
    )
  })

  test('leaves out an empty negative prompt', () => {
    expect(recipeOf({})).not.toContain('Negative')
    expect(recipeOf({ negativePrompt: undefined })).not.toContain('Negative')
  })

  test('quotes values that hold a separator', () => {
    expect(recipeOf({ model: { name: 'mine, v2' } })).toContain('Model: "mine, v2"')
  })

  test('says how the input of a picture was used', () => {
    const text = recipeOf({ task: 'ImageToImage', resizeMode: 'Fill' })
    expect(text).toContain('Denoising strength: 0.8, Resize mode: Fill')
    expect(text).not.toContain('Mask')
  })

  test('says where a picture was repainted', () => {
    const whole = recipeOf({ task: 'Inpaint', strength: 0.5, maskBlur: 4, maskPadding: 8 })
    expect(whole).toContain('Denoising strength: 0.5, Mask blur: 4, Version')
    const region = recipeOf({ task: 'Inpaint', inpaintArea: 'MaskedOnly', maskPadding: 8 })
    expect(region).toContain('Inpaint area: Only masked, Masked area padding: 8')
  })

  test('names LoRAs with their scales', () => {
    const lora = { name: 'rust', scale: 0.5, folder: '/models/rust' }
    expect(recipeOf({ loras: [lora, { ...lora, name: 'dust', scale: 1 }] })).toContain(
      'LoRA: "rust:0.5, dust:1"',
    )
  })
})
