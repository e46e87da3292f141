import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { originalNames } from '../../../../src/inference/lora/original-names.ts'
import { readLora } from '../../../../src/inference/lora/read-lora.ts'
import { someValues, type Written, writeSafetensors } from './safetensors-bytes.ts'

const lora = path.join(import.meta.dirname, '../../../goldens/data/lora')
const golden = (name: string) =>
  readLora(readFileSync(path.join(lora, `${name}.safetensors`)), `${name}.safetensors`)

const tensor = (...shape: number[]): Written => ({
  shape,
  values: someValues(shape.reduce((a, b) => a * b, 1)),
})
const read = (tensors: Readonly<Record<string, Written>>, metadata?: Record<string, string>) =>
  readLora(writeSafetensors(tensors, metadata), 'my.safetensors')
const alpha = (value: number): Written => ({ shape: [], values: [value] })
const peft = (settings: Readonly<Record<string, unknown>>) => ({
  lora_adapter_metadata: JSON.stringify(settings),
})

/** Code and part of the message. */
type Refusal = readonly [string, string]

const unetLayer = 'mid_block.attentions.0.transformer_blocks.0.attn1'
const unetKey = unetLayer.replaceAll('.', '_')
const textLayer = 'text_model.encoder.layers.3.self_attn'
const textKey = textLayer.replaceAll('.', '_')

describe('a LoRA file', () => {
  test('of kohya has its layers, ranks and alphas', () => {
    const { layers } = golden('kohya')
    expect(layers).toHaveLength(48)
    expect(new Set(layers.map(({ component }) => component))).toEqual(new Set(['unet']))
    expect(new Set(layers.map(({ rank, factor }) => `${rank} ${factor}`))).toEqual(
      new Set(['4 0.5']),
    )
  })

  test('of PEFT takes alpha from the metadata', () => {
    const { layers } = golden('peft')
    expect(layers).toHaveLength(32)
    expect(new Set(layers.map(({ rank, factor }) => `${rank} ${factor}`))).toEqual(new Set(['4 2']))
  })

  test.each([
    // kohya
    [
      `lora_unet_${unetKey}_to_q.lora_down.weight`,
      `lora_unet_${unetKey}_to_q.lora_up.weight`,
      ['unet', `${unetKey}_to_q`],
    ],
    [
      `lora_te_${textKey}_q_proj.lora_down.weight`,
      `lora_te_${textKey}_q_proj.lora_up.weight`,
      ['text_encoder', `${textKey}_q_proj`],
    ],
    [
      `lora_te1_${textKey}_q_proj.lora_down.weight`,
      `lora_te1_${textKey}_q_proj.lora_up.weight`,
      ['text_encoder', `${textKey}_q_proj`],
    ],
    [
      `lora_te2_${textKey}_q_proj.lora_down.weight`,
      `lora_te2_${textKey}_q_proj.lora_up.weight`,
      ['text_encoder_2', `${textKey}_q_proj`],
    ],
    // PEFT
    [
      `unet.${unetLayer}.to_out.0.lora_A.weight`,
      `unet.${unetLayer}.to_out.0.lora_B.weight`,
      ['unet', `${unetKey}_to_out_0`],
    ],
    [
      `unet.${unetLayer}.to_k.lora_A.default.weight`,
      `unet.${unetLayer}.to_k.lora_B.default.weight`,
      ['unet', `${unetKey}_to_k`],
    ],
    [
      `base_model.model.${unetLayer}.to_k.lora_A.weight`,
      `base_model.model.${unetLayer}.to_k.lora_B.weight`,
      ['unet', `${unetKey}_to_k`],
    ],
    [
      `base_model.model.unet.${unetLayer}.to_k.lora_A.weight`,
      `base_model.model.unet.${unetLayer}.to_k.lora_B.weight`,
      ['unet', `${unetKey}_to_k`],
    ],
    [
      `base_model.model.${textLayer}.k_proj.lora_A.weight`,
      `base_model.model.${textLayer}.k_proj.lora_B.weight`,
      ['text_encoder', `${textKey}_k_proj`],
    ],
    [
      `text_encoder_2.${textLayer}.k_proj.lora_A.weight`,
      `text_encoder_2.${textLayer}.k_proj.lora_B.weight`,
      ['text_encoder_2', `${textKey}_k_proj`],
    ],
    // diffusers before PEFT
    [
      `unet.${unetLayer}.processor.to_q_lora.down.weight`,
      `unet.${unetLayer}.processor.to_q_lora.up.weight`,
      ['unet', `${unetKey}_to_q`],
    ],
    [
      `unet.${unetLayer}.processor.to_out_lora.down.weight`,
      `unet.${unetLayer}.processor.to_out_lora.up.weight`,
      ['unet', `${unetKey}_to_out_0`],
    ],
    [
      `${unetLayer}.processor.to_v_lora.down.weight`,
      `${unetLayer}.processor.to_v_lora.up.weight`,
      ['unet', `${unetKey}_to_v`],
    ],
    [
      `unet.${unetLayer}.to_q.lora.down.weight`,
      `unet.${unetLayer}.to_q.lora.up.weight`,
      ['unet', `${unetKey}_to_q`],
    ],
    [
      `text_encoder.${textLayer}.v_proj.lora_linear_layer.down.weight`,
      `text_encoder.${textLayer}.v_proj.lora_linear_layer.up.weight`,
      ['text_encoder', `${textKey}_v_proj`],
    ],
    [
      `text_encoder.${textLayer}.to_out_lora.down.weight`,
      `text_encoder.${textLayer}.to_out_lora.up.weight`,
      ['text_encoder', `${textKey}_out_proj`],
    ],
    [
      `text_encoder.${textLayer}.to_q_lora.down.weight`,
      `text_encoder.${textLayer}.to_q_lora.up.weight`,
      ['text_encoder', `${textKey}_q_proj`],
    ],
  ] as const)('names a layer by %s', (down, up, [component, key]) => {
    const { layers } = read({ [down]: tensor(2, 8), [up]: tensor(6, 2) })
    expect(layers).toHaveLength(1)
    expect(layers[0]).toMatchObject({ component, key, rank: 2, factor: 1 })
    expect(layers[0].down.shape).toEqual([2, 8])
    expect(layers[0].up.shape).toEqual([6, 2])
  })

  const name = `lora_unet_${unetKey}_to_q`
  const pair = {
    [`${name}.lora_down.weight`]: tensor(4, 8),
    [`${name}.lora_up.weight`]: tensor(6, 4),
  }
  test.each([
    ['absent', {}, 1],
    ['0', { [`${name}.alpha`]: alpha(0) }, 1],
    ['2', { [`${name}.alpha`]: alpha(2) }, 0.5],
    ['a list of one', { [`${name}.alpha`]: { shape: [1], values: [8] } }, 2],
  ])('with alpha %s has its factor', (_, own, factor) => {
    expect(read({ ...pair, ...own }).layers[0].factor).toBe(factor)
  })

  const peftPair = {
    [`unet.${unetLayer}.to_q.lora_A.weight`]: tensor(4, 8),
    [`unet.${unetLayer}.to_q.lora_B.weight`]: tensor(6, 4),
  }
  test.each([
    ['one alpha', { 'unet.lora_alpha': 8 }, 2],
    [
      'a pattern for the layer',
      { 'unet.lora_alpha': 8, 'unet.alpha_pattern': { 'attn1.to_q': 12 } },
      3,
    ],
    [
      'a pattern for another',
      { 'unet.lora_alpha': 8, 'unet.alpha_pattern': { 'attn2.to_q': 12 } },
      2,
    ],
    ['a pattern that ends like it', { 'unet.lora_alpha': 8, 'unet.alpha_pattern': { o_q: 12 } }, 2],
    [
      'a rank that the tensors do not have',
      { 'unet.lora_alpha': 8, 'unet.r': 64, 'unet.rank_pattern': {} },
      2,
    ],
    ['the square root of the rank', { 'unet.lora_alpha': 8, 'unet.use_rslora': true }, 4],
    ['settings of another component', { 'text_encoder.lora_alpha': 8 }, 1],
  ])('of PEFT reads %s', (_, settings, factor) => {
    expect(read(peftPair, peft(settings)).layers[0].factor).toBe(factor)
  })

  const unsupported = 'inference.unsupported'
  const invalid = 'model.pack_invalid'
  test.each<readonly [string, Readonly<Record<string, Written>>, Refusal]>([
    [
      'of kohya’s DoRA',
      { ...pair, [`${name}.dora_scale`]: tensor(6, 1) },
      [unsupported, `my.safetensors#${name}.dora_scale: DoRA`],
    ],
    [
      'of PEFT’s DoRA',
      { ...peftPair, [`unet.${unetLayer}.to_q.lora_magnitude_vector`]: tensor(6) },
      [unsupported, `unet.${unetLayer}.to_q.lora_magnitude_vector: DoRA`],
    ],
    [
      'of LoHa',
      { [`${name}.hada_w1_a`]: tensor(2, 2), [`${name}.alpha`]: alpha(1) },
      [unsupported, `${name}.hada_w1_a: only plain LoRA`],
    ],
    ['of LoKr', { [`${name}.lokr_w1`]: tensor(2, 2) }, [unsupported, `${name}.lokr_w1`]],
    [
      'with a Tucker core',
      { ...pair, [`${name}.lora_mid.weight`]: tensor(4, 4, 3, 3) },
      [unsupported, `${name}.lora_mid.weight`],
    ],
    [
      'with other weights',
      { a: tensor(1), b: tensor(1), c: tensor(1), d: tensor(1), e: tensor(1) },
      [unsupported, '#a, b, c and 2 more: only plain'],
    ],
    [
      'for a transformer',
      { 'transformer.x.lora_A.weight': tensor(1, 1), 'transformer.x.lora_B.weight': tensor(1, 1) },
      [unsupported, 'transformer.x: belongs to no known component'],
    ],
    ['without layers', {}, [invalid, 'my.safetensors: has no LoRA in it']],
    [
      'without up',
      { [`${name}.lora_down.weight`]: tensor(4, 8) },
      [invalid, `${name}: has no up (B) weight`],
    ],
    [
      'without down',
      { [`${name}.lora_up.weight`]: tensor(4, 8) },
      [invalid, `${name}: has no down (A) weight`],
    ],
    [
      'with two ranks',
      { ...pair, [`${name}.lora_up.weight`]: tensor(6, 3) },
      [invalid, 'shapes [4, 8] and [6, 3]'],
    ],
    [
      'with rank 0',
      { [`${name}.lora_down.weight`]: tensor(0, 8), [`${name}.lora_up.weight`]: tensor(6, 0) },
      [invalid, 'shapes [0, 8] and [6, 0]'],
    ],
    [
      'with a wide up',
      { ...pair, [`${name}.lora_up.weight`]: tensor(6, 4, 3, 3) },
      [invalid, '[6, 4, 3, 3] are not those'],
    ],
    [
      'with a vector',
      { ...pair, [`${name}.lora_down.weight`]: tensor(4) },
      [invalid, 'shapes [4] and'],
    ],
    ['with several alphas', { ...pair, [`${name}.alpha`]: tensor(2) }, [invalid, 'not finite']],
    [
      'with a value that is none',
      { ...pair, [`${name}.lora_up.weight`]: { shape: [1, 4], values: [1, NaN, 1, 1] } },
      [invalid, 'not finite'],
    ],
    [
      'with a layer under two names',
      { ...pair, ...peftPair },
      [invalid, 'the layer is there twice'],
    ],
    [
      'with a tensor under two names',
      { ...peftPair, [`unet.${unetLayer}.to_q.lora_A.default.weight`]: tensor(4, 8) },
      [invalid, 'is there twice'],
    ],
  ])('%s is refused by name', (_, tensors, [code, problem]) => {
    expect(() => read(tensors)).toThrow(expect.objectContaining({ code }))
    expect(() => read(tensors)).toThrow(problem)
  })

  test.each<readonly [string, Record<string, string>, Refusal]>([
    ['are not JSON', { lora_adapter_metadata: '{' }, [invalid, 'not a JSON object']],
    ['are a list', { lora_adapter_metadata: '[1]' }, [invalid, 'not a JSON object']],
    [
      'have text for alpha',
      peft({ 'unet.lora_alpha': '8' }),
      [invalid, 'lora_adapter_metadata.unet.lora_alpha'],
    ],
    ['say DoRA', peft({ 'unet.use_dora': true }), [unsupported, 'unet.use_dora: DoRA']],
    [
      'have a pattern with operators',
      peft({ 'unet.alpha_pattern': { '(a+)+$': 1 } }),
      [invalid, '“(a+)+$” is not the plain name'],
    ],
  ])('of PEFT is refused when its settings %s', (_, metadata, [code, problem]) => {
    expect(() => read(peftPair, metadata)).toThrow(expect.objectContaining({ code }))
    expect(() => read(peftPair, metadata)).toThrow(problem)
  })
})

test('the layers of an SDXL UNet have the names of its original code', () => {
  const down = [0, 1, 2].flatMap((block) =>
    [0, 1].flatMap((layer) => [
      `down_blocks.${block}.resnets.${layer}.conv1`,
      ...(block > 0 ? [`down_blocks.${block}.attentions.${layer}.proj_in`] : []),
    ]),
  )
  const up = ['up_blocks.0.attentions.2.proj_out', 'up_blocks.1.attentions.0.proj_in']
  const rest: Readonly<Record<string, string>> = {
    'down_blocks.1.resnets.0.conv_shortcut': 'input_blocks_4_0_skip_connection',
    'down_blocks.2.attentions.1.transformer_blocks.9.attn2.to_out.0':
      'input_blocks_8_1_transformer_blocks_9_attn2_to_out_0',
    'down_blocks.0.downsamplers.0.conv': 'input_blocks_3_0_op',
    'down_blocks.1.downsamplers.0.conv': 'input_blocks_6_0_op',
    'mid_block.resnets.0.conv2': 'middle_block_0_out_layers_3',
    'mid_block.attentions.0.proj_in': 'middle_block_1_proj_in',
    'mid_block.resnets.1.time_emb_proj': 'middle_block_2_emb_layers_1',
    'up_blocks.0.resnets.2.conv1': 'output_blocks_2_0_in_layers_2',
    'up_blocks.0.upsamplers.0.conv': 'output_blocks_2_2_conv',
    'up_blocks.1.upsamplers.0.conv': 'output_blocks_5_2_conv',
    'up_blocks.2.resnets.1.conv1': 'output_blocks_7_0_in_layers_2',
    'time_embedding.linear_2': 'time_embed_2',
    'add_embedding.linear_1': 'label_emb_0_0',
    conv_out: 'out_2',
  }
  const names = originalNames([...down, ...up, ...Object.keys(rest)])
  expect(names.get('down_blocks.1.attentions.0.proj_in')).toBe('input_blocks_4_1_proj_in')
  expect(names.get('down_blocks.2.attentions.0.proj_in')).toBe('input_blocks_7_1_proj_in')
  expect(names.get('up_blocks.0.attentions.2.proj_out')).toBe('output_blocks_2_1_proj_out')
  expect(Object.fromEntries(Object.keys(rest).map((key) => [key, names.get(key)]))).toEqual(rest)
})
