import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loraComponents, loraFeeds, type ScaledLora } from '../../../../src/inference/lora/feeds.ts'
import { injectLora, type LoraTarget } from '../../../../src/inference/lora/inject.ts'
import { type Lora, readLora } from '../../../../src/inference/lora/read-lora.ts'
import { readModel } from '../../../../src/inference/onnx/read-graph.ts'
import { collectFields, type Message, openMessage } from '../../../../src/inference/onnx/wire.ts'
import {
  bytesField,
  editMessage,
  join,
  textField,
} from '../../../../src/inference/onnx/write-graph.ts'
import { Component, type Feed } from '../../../../src/inference/runtime/component.ts'
import { mergeLoras } from './merge.ts'
import { someValues, type Written, writeSafetensors } from './safetensors-bytes.ts'

const fixtures = path.join(import.meta.dirname, 'fixtures')
const goldens = path.join(import.meta.dirname, '../../../goldens/data')
const readGraph = (file: string): Uint8Array => readFileSync(file)
const block = readGraph(path.join(fixtures, 'block.onnx'))
const exports = {
  block,
  cast: readGraph(path.join(fixtures, 'cast.onnx')),
  dynamo: readGraph(path.join(fixtures, 'dynamo.onnx')),
  half: readGraph(path.join(fixtures, 'half.onnx')),
}
const floatExports = ['block', 'cast', 'dynamo'] as const
const tinyUnet = readGraph(path.join(goldens, 'models/tiny-sd/unet/model.onnx'))
const tinyEncoder = readGraph(path.join(goldens, 'models/tiny-sd/text_encoder/model.onnx'))
const injectedTiny = injectLora(tinyUnet, 'unet')
const golden = (name: string) =>
  readLora(readFileSync(path.join(goldens, `lora/${name}.safetensors`)), `${name}.safetensors`)

/** Opening takes most of the time, so graphs stay open until the end. */
const sessions = new Map<Uint8Array, Promise<Component>>()
afterAll(async () => {
  for (const session of sessions.values()) await (await session).dispose()
})

type Feeds = Readonly<Record<string, Feed>>

async function run(graph: Uint8Array, feeds: Feeds, output = 'out_sample'): Promise<Float32Array> {
  const profile = { threads: 1, folder: fixtures, sizeBytes: graph.length }
  const session = sessions.get(graph) ?? Component.open(graph, profile)
  sessions.set(graph, session)
  return (await (await session).run(feeds))[output].data
}

const values = (shape: readonly number[], seed: number): Feed => {
  const count = shape.reduce((a, b) => a * b, 1)
  return { data: someValues(count, seed).map((value) => value * 3), shape }
}
const blockFeeds = {
  sample: values([2, 4, 8, 8], 5),
  encoder_hidden_states: values([2, 5, 12], 6),
}
const tinyFeeds = {
  sample: values([1, 4, 16, 16], 5),
  timestep: { data: [500], shape: [] },
  encoder_hidden_states: values([1, 77, 32], 6),
}

/** Max |a - b| / (1 + max |b|), the measure of the golden files. */
function distance(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length)
  const far = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0)
  return far / (1 + b.reduce((most, value) => Math.max(most, Math.abs(value)), 0))
}

type Naming = { readonly prefix?: string; readonly key?: number; readonly seed?: number }

/** A kohya LoRA for every target that has the key, of another rank for each. */
function fullLora(targets: readonly LoraTarget[], naming: Naming = {}): Lora {
  const { prefix = 'lora_unet', key = 0, seed = 1 } = naming
  const tensors = targets.flatMap(({ keys, inSize, outSize, kernel, kind }, index) => {
    const rank = 1 + ((index + seed) % 5)
    const name = `${prefix}_${keys[key]}`
    const isConv = kind === 'conv'
    const downShape = isConv ? [rank, inSize, ...kernel] : [rank, inSize]
    const upShape = isConv ? [outSize, rank, 1, 1] : [outSize, rank]
    return [
      [`${name}.lora_down.weight`, tensor(downShape, seed + index)],
      [`${name}.lora_up.weight`, tensor(upShape, seed + index + 0.5)],
      [`${name}.alpha`, { shape: [], values: [rank / 2] }],
    ] as const
  })
  return readLora(writeSafetensors(Object.fromEntries(tensors)), 'full.safetensors')
}

function runInjected(graph: Uint8Array, loras: readonly ScaledLora[]): Promise<Float32Array> {
  const injected = injectLora(graph, 'unet')
  const feeds = loraFeeds(injected.targets, 'unet', loras)
  return run(injected.graph, { ...blockFeeds, ...feeds })
}

function runTiny(loras: readonly ScaledLora[]): Promise<Float32Array> {
  const feeds = loraFeeds(injectedTiny.targets, 'unet', loras)
  return run(injectedTiny.graph, { ...tinyFeeds, ...feeds })
}

const targetsByName = (name: keyof typeof exports) =>
  injectLora(exports[name], 'unet').targets.toSorted((a, b) => (a.up < b.up ? -1 : 1))

const bytesOf = ({ bytes, start, end }: Message) => Buffer.from(bytes.subarray(start, end))

const tensor = (shape: readonly number[], seed = 1): Written => ({
  shape,
  values: someValues(
    shape.reduce((a, b) => a * b, 1),
    seed,
  ),
})

const pair = (name: string, down: readonly number[], up: readonly number[]) => ({
  [`${name}.lora_down.weight`]: tensor(down),
  [`${name}.lora_up.weight`]: tensor(up),
})

const findTarget = (end: string) => injectedTiny.targets.find(({ module }) => module.endsWith(end))

function feed(tensors: Readonly<Record<string, Written>>): Feeds {
  const lora = readLora(writeSafetensors(tensors), 'my.safetensors')
  return loraFeeds(injectedTiny.targets, 'unet', [{ lora, scale: 1 }])
}

describe('the targets of a graph', () => {
  test('are every layer with a weight, named as torch names it', () => {
    const modules = injectedTiny.targets.map(({ module }) => module)
    const attention = 'unet.up_blocks.1.attentions.0'
    const inner = `${attention}.transformer_blocks.0`
    for (const layer of ['to_q', 'to_k', 'to_v', 'to_out.0']) {
      expect(modules).toContain(`${inner}.attn1.${layer}`)
      expect(modules).toContain(`${inner}.attn2.${layer}`)
    }
    const others = [`${inner}.ff.net.0.proj`, `${inner}.ff.net.2`, `${attention}.proj_in`]
    const convolutions = ['unet.conv_in', 'unet.down_blocks.0.downsamplers.0.conv']
    const embedding = ['unet.time_embedding.linear_2', 'unet.mid_block.resnets.1.time_emb_proj']
    expect(modules).toEqual(expect.arrayContaining([...others, ...convolutions, ...embedding]))
    // 33 convolutions, 10 Gemm, and 40 of 56 products: those within attention have no weight.
    expect(modules).toHaveLength(83)
  })

  test('say their inputs and sizes', () => {
    expect(findTarget('down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k')).toMatchObject({
      kind: 'linear',
      keys: [
        'down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k',
        'input_blocks_1_1_transformer_blocks_0_attn2_to_k',
      ],
      inSize: 32,
      outSize: 16,
      kernel: [1, 1],
    })
    const conv = { kind: 'conv', inSize: 4, outSize: 16, kernel: [3, 3] }
    expect(findTarget('unet.conv_in')).toMatchObject(conv)
  })

  test('are the same in every kind of export', () => {
    expect(targetsByName('block')).toHaveLength(19)
    expect(targetsByName('dynamo')).toEqual(targetsByName('block'))
    expect(targetsByName('half')).toEqual(targetsByName('block'))
    expect(targetsByName('cast')).toEqual(targetsByName('block'))
  })

  test('of a text encoder are its projections', () => {
    const { targets } = injectLora(tinyEncoder, 'text_encoder')
    const layers = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']
    const wanted = [...layers, 'self_attn.out_proj', 'mlp.fc1', 'mlp.fc2'].map(
      (layer) => `text_encoder.text_model.encoder.layers.1.${layer}`,
    )
    expect(targets.map(({ module }) => module)).toEqual(expect.arrayContaining(wanted))
    expect(targets).toHaveLength(12)
    expect(targets[0].keys).toEqual([
      'text_model_encoder_layers_0_self_attn_q_proj',
      'encoder_layers_0_self_attn_q_proj',
    ])
  })
})

describe('a graph with LoRA inputs', { timeout: 60_000 }, () => {
  test('is the base byte for byte where no layer is, unknown fields included', () => {
    const unknown = Buffer.from(
      textField(9999, 'from a later version').flatMap((part) => [...part]),
    )
    const source = openMessage(tinyUnet, 'base')
    const [graphField] = collectFields(source, [7]).get(7) ?? []
    const { start, end, bodyStart } = graphField
    const inside = [tinyUnet.subarray(bodyStart, end), unknown]
    const extended = join(
      editMessage(source, [{ start, end, chunks: [...bytesField(7, inside), unknown] }]),
    )
    const { graph, targets } = injectLora(extended, 'unet')
    const [before, after] = [extended, graph].map((bytes) => readModel(bytes, 'graph').graph)
    expect(after.initializers.map(bytesOf)).toEqual(before.initializers.map(bytesOf))
    expect(after.inputs.slice(0, 3).map(bytesOf)).toEqual(before.inputs.map(bytesOf))
    const kept = new Set(after.nodes.map(({ message }) => bytesOf(message).toString('latin1')))
    const changed = before.nodes.filter(
      ({ message }) => !kept.has(bytesOf(message).toString('latin1')),
    )
    expect(changed).toHaveLength(targets.length)
    const text = Buffer.from(graph).toString('latin1')
    expect(text.split('from a later version')).toHaveLength(3)
  })

  test('refuses two layers that cannot be told apart', () => {
    const renamed = Buffer.from(block)
    // The key of the second attention takes the name of the first, but not its weight’s shape.
    const [from, to] = ['/attn2/to_k/MatMul', '/attn1/to_k/MatMul']
    for (let at = renamed.indexOf(from); at >= 0; at = renamed.indexOf(from)) renamed.write(to, at)
    expect(() => injectLora(renamed, 'unet')).toThrow(
      'two nodes of different shapes are both named',
    )
  })

  test.each(floatExports)('equals the base at rank 0: %s', async (name) => {
    const base = await run(exports[name], blockFeeds)
    expect(distance(await runInjected(exports[name], []), base)).toBeLessThan(1e-6)
  })

  // All exports of the block have the same weights, so one merged graph stands for all of them.
  test.each(floatExports)('equals merged weights: %s', async (name) => {
    const scaled = [{ lora: fullLora(targetsByName('block')), scale: 0.7 }]
    const wanted = await run(mergeLoras(block, 'unet', scaled), blockFeeds)
    expect(distance(await runInjected(exports[name], scaled), wanted)).toBeLessThan(1e-5)
    expect(distance(await run(block, blockFeeds), wanted)).toBeGreaterThan(0.01)
  })

  test('follows merged weights in float16 as closely as that type can', async () => {
    const scaled = [{ lora: fullLora(targetsByName('block')), scale: 0.7 }]
    const wanted = await run(mergeLoras(block, 'unet', scaled), blockFeeds)
    const base = await run(exports.half, blockFeeds)
    expect(distance(base, await run(block, blockFeeds))).toBeLessThan(5e-3)
    expect(await runInjected(exports.half, [])).toEqual(base)
    expect(distance(await runInjected(exports.half, scaled), wanted)).toBeLessThan(5e-3)
  })

  test('takes a LoRA under the names of the original code', async () => {
    const targets = targetsByName('block')
    const scaled = [{ lora: fullLora(targets), scale: 1 }]
    const original = [{ lora: fullLora(targets, { key: 1 }), scale: 1 }]
    expect(original[0].lora.layers.map(({ key }) => key)).toContain('input_blocks_2_0_op')
    expect(await runInjected(block, original)).toEqual(await runInjected(block, scaled))
  })

  test.each(['kohya', 'peft'])('takes the golden %s file', async (name) => {
    const scaled = [{ lora: golden(name), scale: 0.5 }]
    const wanted = await run(mergeLoras(tinyUnet, 'unet', scaled), tinyFeeds)
    expect(distance(await runTiny(scaled), wanted)).toBeLessThan(1e-5)
    expect(distance(await run(tinyUnet, tinyFeeds), wanted)).toBeGreaterThan(1e-3)
  })

  test('adds several LoRAs up, each with its scale', async () => {
    const loras = [
      { lora: golden('kohya'), scale: 0.8 },
      { lora: golden('peft'), scale: -0.6 },
      { lora: fullLora(injectedTiny.targets, { seed: 3 }), scale: 0.1 },
    ]
    const wanted = await run(mergeLoras(tinyUnet, 'unet', loras), tinyFeeds)
    expect(distance(await runTiny(loras), wanted)).toBeLessThan(1e-5)
    expect(distance(await runTiny(loras.slice(0, 2)), wanted)).toBeGreaterThan(1e-3)
  })

  test('serves LoRAs and none in turn', async () => {
    const base = await run(tinyUnet, tinyFeeds)
    const lora = fullLora(injectedTiny.targets)
    for (let round = 0; round < 5; round++) {
      expect(distance(await runTiny([{ lora, scale: 1 }]), base)).toBeGreaterThan(1e-3)
      // Whatever the run before left in memory must not show.
      expect(distance(await runTiny([]), base)).toBeLessThan(1e-6)
      expect(distance(await runTiny([{ lora, scale: 0 }]), base)).toBeLessThan(1e-6)
    }
  })

  test.each([
    ['lora_te', 'text_encoder'],
    ['lora_te1', 'text_encoder'],
    ['lora_te2', 'text_encoder_2'],
  ] as const)('takes %s layers in the %s', async (prefix, component) => {
    const feeds = { input_ids: { data: Array.from({ length: 77 }, (_, i) => i), shape: [1, 77] } }
    const { graph, targets } = injectLora(tinyEncoder, component)
    const scaled = [{ lora: fullLora(targets, { prefix }), scale: 0.5 }]
    expect([...loraComponents(scaled[0].lora)]).toEqual([component])
    const wanted = await run(mergeLoras(tinyEncoder, component, scaled), feeds, 'last_hidden_state')
    const fed = { ...feeds, ...loraFeeds(targets, component, scaled) }
    expect(distance(await run(graph, fed, 'last_hidden_state'), wanted)).toBeLessThan(1e-5)
  })
})

describe('the feeds of a LoRA', () => {
  test('are refused when the model has no such layer, naming a few', () => {
    const names = [1, 2, 3, 4, 5].map((i) => `lora_unet_down_blocks_9_layer_${i}`)
    const tensors = Object.assign({}, ...names.map((name) => pair(name, [4, 16], [16, 4])))
    const problem = `unet has no layer for ${names.slice(0, 3).join(', ')} and 2 more`
    expect(() => feed(tensors)).toThrow(
      expect.objectContaining({
        code: 'inference.unsupported',
        message: `my.safetensors does not fit this model: ${problem}`,
      }),
    )
  })

  test('are refused when the layer has another shape, naming both', () => {
    expect(() => feed(pair('lora_unet_conv_in', [4, 320, 3, 3], [16, 4, 1, 1]))).toThrow(
      'weight of [16, 320, 3, 3], unet.conv_in has one of [16, 4, 3, 3]',
    )
    expect(() => feed(pair('lora_unet_conv_in', [4, 4], [16, 4]))).toThrow('[16, 4, 3, 3]')
    const query = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q'
    expect(() => feed(pair(query, [4, 32], [31, 4]))).toThrow('weight of [31, 32]')
  })

  test('take flat weights for 1×1 convolutions, and the other way round', () => {
    expect(() =>
      feed(pair('lora_unet_mid_block_attentions_0_proj_in', [4, 32], [32, 4])),
    ).not.toThrow()
    const query = 'lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q'
    expect(() => feed(pair(query, [4, 32, 1, 1], [32, 4, 1, 1]))).not.toThrow()
  })

  test('leave layers of other components to their own graph', () => {
    const name = 'lora_te_text_model_encoder_layers_0_mlp_fc1'
    const feeds = feed(pair(name, [4, 32], [64, 4]))
    expect(feeds).toEqual(loraFeeds(injectedTiny.targets, 'unet', []))
  })

  test('are empty where no LoRA is, but zero for convolutions', () => {
    const feeds = loraFeeds(injectedTiny.targets, 'unet', [])
    const query = 'lora.unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q'
    expect(feeds[`${query}.down`]).toEqual({ data: new Float32Array(), shape: [32, 0] })
    expect(feeds[`${query}.up`]).toEqual({ data: new Float32Array(), shape: [0, 32] })
    // onnxruntime leaves what a convolution of no channels gives unwritten.
    const first = { data: new Float32Array(36), shape: [1, 4, 3, 3] }
    expect(feeds['lora.unet.conv_in.down']).toEqual(first)
    expect(feeds['lora.unet.conv_in.up']).toEqual({
      data: new Float32Array(16),
      shape: [16, 1, 1, 1],
    })
  })
})
