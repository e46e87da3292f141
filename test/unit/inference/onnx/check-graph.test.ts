import { readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { injectLora } from '../../../../src/inference/lora/inject.ts'
import { checkGraph } from '../../../../src/inference/onnx/check-graph.ts'
import { integerField, textField } from '../../../../src/inference/onnx/write-graph.ts'
import { longTests } from '../../../support/long.ts'
import { outcomeOf } from '../outcome-of.ts'
import {
  attribute,
  type Chunks,
  localFunction,
  message,
  model,
  node,
  opset,
  port,
} from './model-bytes.ts'

const numRuns = longTests ? 50_000 : 1000
const root = path.join(import.meta.dirname, '../../../..')
const readGraph = (name: string) => readFileSync(path.join(root, name))
const check = (bytes: Uint8Array) => checkGraph(bytes, { file: 'unet/model.onnx' })

/** Wraps a part into the bodies of control flow, as deep as asked. */
function inSubgraphs(depth: number, part: Chunks): Chunks {
  if (depth === 0) return part
  const inner = message(6, inSubgraphs(depth - 1, part))
  return node({ operator: 'If', attributes: [attribute('then_branch', inner)] })
}

const fused = (operator: string) => model([node({ operator, domain: 'com.microsoft' })])
const call = (operator: string) => node({ operator, domain: 'pkg', number: 7 })
const raw = (...values: number[]) => Uint8Array.from(values)

describe('the facts of a graph', () => {
  test('are its operators’ version, inputs and outputs', () => {
    const bytes = readGraph('test/goldens/data/models/tiny-sdxl/unet/model.onnx')
    expect(check(bytes)).toEqual({
      opset: 18,
      opsets: new Map([['', 18]]),
      inputs: ['sample', 'timestep', 'encoder_hidden_states', 'text_embeds', 'time_ids'],
      outputs: ['out_sample'],
      externalFiles: [],
      nodeCount: 1943,
    })
  })

  test('name the files that hold its weights', () => {
    const bytes = readGraph('test/unit/inference/fixtures/external/model.onnx')
    expect(check(bytes).externalFiles).toEqual(['model.onnx_data'])
  })

  test('leave weights out that are listed as inputs too', () => {
    const weight = message(5, integerField(1, 4), integerField(2, 1), textField(8, 'weight'))
    const facts = check(model([weight, port(11, 'x'), port(11, 'weight'), port(12, 'y')]))
    expect(facts).toMatchObject({ inputs: ['x'], outputs: ['y'] })
  })

  test('count the nodes of functions where they are called', () => {
    const local = node({ operator: 'Twice', domain: 'pkg.torch' })
    const body = node({ operator: 'Add', number: 7 })
    const bytes = model(
      [local, local],
      opset('pkg.torch', 1),
      localFunction('pkg.torch', 'Twice', body, body),
    )
    expect(check(bytes).nodeCount).toBe(6)
  })

  test('are those of the graph itself after LoRA inputs were put in', () => {
    const bytes = readGraph('test/goldens/data/models/tiny-sd/unet/model.onnx')
    const { graph, targets } = injectLora(bytes, 'unet')
    const [before, after] = [check(bytes), check(graph)]
    expect(after.nodeCount).toBe(before.nodeCount + 3 * targets.length)
    const added = targets.flatMap(({ down, up }) => [down, up])
    expect(after.inputs).toEqual([...before.inputs, ...added])
  })
})

describe('operators', () => {
  test.each(['', 'ai.onnx'])('of the domain “%s” are let through', (domain) => {
    expect(() => check(model([node({ operator: 'Add', domain })]))).not.toThrow()
  })

  test('that onnxruntime fuses are let through one by one', () => {
    expect(() => check(fused('FusedMatMul'))).not.toThrow()
    expect(() => check(fused('EPContext'))).toThrow(
      'operator “EPContext” of domain “com.microsoft”',
    )
  })

  const evil = node({ operator: 'Run', domain: 'evil.ops' })
  const evilInFunction = node({ operator: 'Run', domain: 'evil.ops', number: 7 })
  test.each<readonly [string, readonly Chunks[], string]>([
    ['in the graph', [node({ operator: 'Add' }), evil], 'unet/model.onnx#graph.node[1]'],
    [
      'in a subgraph',
      [inSubgraphs(1, evil)],
      'unet/model.onnx#graph.node[0].attribute[0].graph[0].node[0]',
    ],
    [
      'in one of several subgraphs',
      [
        node({
          operator: 'Loop',
          attributes: [
            attribute('bodies', message(11, node({ operator: 'Add' })), message(11, evil)),
          ],
        }),
      ],
      'graph.node[0].attribute[0].graph[1].node[0]',
    ],
    ['deep in subgraphs', [inSubgraphs(7, evil)], 'node[0].attribute[0].graph[0].node[0]'],
  ])('of an unknown domain are found %s', (_, graph, place) => {
    const problem = 'operator “Run” of domain “evil.ops” (node “the node”) is not allowed'
    expect(() => check(model(graph))).toThrow(problem)
    expect(() => check(model(graph))).toThrow(
      expect.objectContaining({
        code: 'model.pack_invalid',
        message: expect.stringContaining(place),
      }),
    )
  })

  test.each([
    ['that is called', [node({ operator: 'F', domain: 'pkg' })]],
    ['that nobody calls', []],
  ])('of an unknown domain are found in a function %s', (_, graph) => {
    expect(() => check(model(graph, localFunction('pkg', 'F', evilInFunction)))).toThrow('evil.ops')
  })

  test('of a function with another name are unknown', () => {
    const other = node({ operator: 'G', domain: 'pkg' })
    expect(() => check(model([other], localFunction('pkg', 'F')))).toThrow('operator “G”')
  })
})

describe('local functions', () => {
  test.each(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft', 'com.microsoft.nchwc'])(
    'cannot pass for operators of the domain “%s”',
    (domain) => {
      expect(() => check(model([], localFunction(domain, 'EPContext')))).toThrow('a known domain')
    },
  )

  test('cannot be there twice', () => {
    const twice = [localFunction('pkg', 'F'), localFunction('pkg', 'F', call('G'))]
    expect(() => check(model([], ...twice))).toThrow('is there twice')
  })

  test('cannot call themselves, neither at once nor by others', () => {
    expect(() => check(model([], localFunction('pkg', 'F', call('F'))))).toThrow('F calls itself')
    const round = [localFunction('pkg', 'F', call('G')), localFunction('pkg', 'G', call('F'))]
    expect(() => check(model([], ...round))).toThrow('F calls itself')
  })

  test('cannot multiply into more nodes than a model has', () => {
    const levels = Array.from({ length: 8 }, (_, i) =>
      localFunction('pkg', `F${i}`, ...Array<Chunks>(12).fill(call(`F${i + 1}`))),
    )
    const last = localFunction('pkg', 'F8', node({ operator: 'Add', number: 7 }))
    expect(() => check(model([], ...levels, last))).toThrow('runs more than 500000 nodes')
  })

  test.each([
    [
      'functions',
      model(
        [],
        ...Array.from({ length: 40 }, (_, i) => localFunction('pkg', `F${i}`, call(`F${i + 1}`))),
        localFunction('pkg', 'F40'),
      ),
    ],
    [
      'functions, innermost first',
      model(
        [],
        localFunction('pkg', 'F40'),
        ...Array.from({ length: 40 }, (_, i) =>
          localFunction('pkg', `F${39 - i}`, call(`F${40 - i}`)),
        ),
      ),
    ],
    ['subgraphs', model([inSubgraphs(40, node({ operator: 'Add' }))])],
  ])('cannot be nested without end: %s', (_, bytes) => {
    expect(() => check(bytes)).toThrow('nested more than 16 deep')
  })
})

describe('bytes that are no graph', () => {
  test.each<readonly [string, Uint8Array, string]>([
    ['nothing', raw(), 'has 0 graphs'],
    ['two graphs', Buffer.concat([model([]), ...message(7)]), 'has 2 graphs'],
    ['a picture', raw(0x89, 0x50, 0x4e, 0x47), 'claims'],
    [
      'a node past the end of its graph',
      raw(0x3a, 0x03, 0x0a, 0x04, 0x00, 0x08, 0x09, 0x10, 0x09),
      'graph: a field at byte 4 claims 4 bytes, past its end',
    ],
    ['a length past the end', raw(0x3a, 0x05, 0x00), 'claims 5 bytes, past its end'],
    [
      'a length past everything',
      raw(0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
      'past its end',
    ],
    [
      'a varint without an end',
      raw(0x08, ...Array.from({ length: 11 }, () => 0xff)),
      'varint without an end',
    ],
    ['a group', raw(0x3b), 'wire type 3'],
    ['field 0', raw(0x02, 0x00), 'no protobuf tag'],
    ['a graph that is a number', raw(0x38, 0x01), 'graph is not a message'],
    [
      'a name that is a number',
      model([message(1, integerField(3, 1))]),
      'graph.node[0]: field 3 is not text',
    ],
    ['a name that is not UTF-8', model([message(1, [raw(0x1a, 1, 0xff)])]), 'field 3 is not UTF-8'],
    ['a name of 100 kB', model([message(1, textField(3, 'n'.repeat(1e5)))]), 'longer than 65536'],
    [
      'a negative size',
      model([message(5, [raw(0x08, ...Array.from({ length: 9 }, () => 0xff), 0x01)])]),
      'out of range',
    ],
    [
      'sizes past counting',
      model([message(5, ...[1, 2, 3].map(() => integerField(1, 2 ** 40)))]),
      'out of range',
    ],
    [
      '100 dimensions',
      model([message(5, message(1, [new Uint8Array(100)]))]),
      'field 1: more than 64',
    ],
    ['training', Buffer.concat([model([]), ...message(20)]), 'training_info'],
    ['no operators', Buffer.concat(message(7)), 'does not import the operators'],
    [
      'too many ports',
      model(Array.from({ length: 10_001 }, () => message(11))),
      'more than 10000 input',
    ],
  ])('are refused: %s', (_, broken, problem) => {
    expect(() => check(broken)).toThrow(expect.objectContaining({ code: 'model.pack_invalid' }))
    expect(() => check(broken)).toThrow(problem)
  })

  test('are refused after random changes, or read', { timeout: 600_000 }, () => {
    const fixture = readGraph('test/unit/inference/lora/fixtures/dynamo.onnx')
    const change = fc.record({
      at: fc.nat(fixture.length - 1),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }),
    })
    const outcomes = new Set<string>()
    const end = fc.option(fc.nat(fixture.length), { nil: fixture.length })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), end, (changes, length) => {
        const broken = Buffer.from(fixture)
        for (const { at, bytes: put } of changes)
          broken.set(put.subarray(0, broken.length - at), at)
        for (const read of [check, (graph: Uint8Array) => injectLora(graph, 'unet')]) {
          outcomes.add(outcomeOf(() => read(broken.subarray(0, length))))
        }
      }),
      { numRuns, seed: 4 },
    )
    expect([...outcomes].toSorted()).toEqual(['read', 'refused'])
  })
})
