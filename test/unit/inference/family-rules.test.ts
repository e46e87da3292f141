import { describe, expect, test } from 'vitest'
import type { ComponentFacts } from '../../../src/inference/models/component-facts.ts'
import { requireFamily } from '../../../src/inference/models/family-rules.ts'
import type { Manifest } from '../../../src/inference/models/manifest.ts'

const side = { min: 64, max: 64, multipleOf: 8 }
const manifest: Manifest = {
  schemaVersion: 1,
  type: 'Base',
  name: 'tiny',
  description: '',
  licence: 'Apache-2.0',
  family: 'StableDiffusion1',
  tasks: ['TextToImage'],
  defaults: {},
  sizes: { width: side, height: side },
  memory: { loadedBytes: 1, perMegapixelBytes: 1 },
  files: [{ path: 'a', sha256: '0'.repeat(64), sizeBytes: 1 }],
}
const plainInputs = ['sample', 'timestep', 'encoder_hidden_states']

type Pack = {
  readonly unet?: readonly string[]
  readonly decoder?: 'float16' | 'float32'
  readonly change?: Partial<Manifest>
  readonly forcesUpcast?: boolean
  /** Channels of a UNet for Inpaint beside the other one. */
  readonly inpaintChannels?: number
}

const xl = {
  unet: [...plainInputs, 'text_embeds', 'time_ids'],
  change: { family: 'StableDiffusionXL' },
} as const

function refusal(pack: Pack): string {
  const { unet = plainInputs, decoder = 'float32', change, forcesUpcast = false } = pack
  const { inpaintChannels: channels } = pack
  const components = new Map([
    ['text_encoder', component('text_encoder', ['input_ids'])],
    ['text_encoder_2', component('text_encoder_2', ['input_ids'])],
    ['unet', component('unet', unet)],
    ['vae_encoder', component('vae_encoder', ['sample'])],
    ['vae_decoder', component('vae_decoder', ['latent_sample'], { type: decoder })],
  ])
  if (channels !== undefined) {
    components.set('unet_inpaint', component('unet_inpaint', plainInputs, { channels }))
  }
  try {
    requireFamily({ manifest: { ...manifest, ...change }, components, forcesUpcast })
  } catch (error) {
    return String(error)
  }
  return 'taken'
}

function component(
  name: string,
  inputs: readonly string[],
  { type = 'float32', channels = 4 }: { readonly type?: string; readonly channels?: number } = {},
): ComponentFacts {
  const ports = inputs.map((input) => ({ name: input, type, shape: ['batch', channels, 'h', 'w'] }))
  const facts = { opset: 18, outputs: [], externalFiles: [], graphBytes: 1, externalBytes: 0 }
  return { name, inputs: ports, ...facts }
}

describe('the rules of a family', () => {
  test.each([
    ['StableDiffusion1', plainInputs],
    ['StableDiffusion2', plainInputs],
    ['StableDiffusionXL', [...plainInputs, 'text_embeds', 'time_ids']],
    ['LatentConsistency', [...plainInputs, 'timestep_cond']],
    ['LatentConsistency', [...plainInputs, 'timestep_cond', 'text_embeds', 'time_ids']],
  ] as const)('take %s with the inputs %j', (family, unet) => {
    expect(refusal({ unet, change: { family } })).toBe('taken')
  })

  test.each([
    ['StableDiffusion1', [...plainInputs, 'timestep_cond'], '#family: is StableDiffusion1'],
    ['StableDiffusion2', [...plainInputs, 'time_ids'], '#family: is StableDiffusion2'],
    ['StableDiffusionXL', [...plainInputs, 'time_ids'], '#family: is StableDiffusionXL'],
    ['LatentConsistency', plainInputs, '#family: is LatentConsistency'],
    ['StableDiffusion1', ['sample', 'timestep'], 'no input encoder_hidden_states'],
  ] as const)('refuse %s with the inputs %j', (family, unet, expected) => {
    expect(refusal({ unet, change: { family } })).toContain(expected)
  })

  test('refuse a decoder in half precision only where that overflows', () => {
    expect(refusal({ ...xl, decoder: 'float16' })).toBe('taken')
    expect(refusal({ ...xl, forcesUpcast: true })).toBe('taken')
    expect(refusal({ decoder: 'float16', forcesUpcast: true })).toBe('taken')
    expect(refusal({ ...xl, decoder: 'float16', forcesUpcast: true })).toContain(
      'vae_decoder/model.onnx#latent_sample: is float16, but force_upcast',
    )
  })

  test('take a second UNet for Inpaint only when it repaints and Inpaint is listed', () => {
    const change = { tasks: ['TextToImage', 'Inpaint'] } satisfies Partial<Manifest>
    expect(refusal({ inpaintChannels: 9, change })).toBe('taken')
    expect(refusal({ inpaintChannels: 4, change })).toContain('unet_inpaint/model.onnx#sample')
    expect(refusal({ inpaintChannels: 9 })).toContain('does not list the task Inpaint')
  })
})
