import { describe, expect, test } from 'vitest'
import { checkGraph } from '../../../../src/inference/onnx/check-graph.ts'
import { integerField, textField } from '../../../../src/inference/onnx/write-graph.ts'
import {
  attribute,
  type Chunks,
  externalTensor,
  localFunction,
  message,
  model,
  node,
} from './model-bytes.ts'

const check = (bytes: Uint8Array, sizes: Readonly<Record<string, number>> = {}) =>
  checkGraph(bytes, { file: 'unet/model.onnx', sizeOf: (file) => sizes[file] })

const at = (location: string, more: Readonly<Record<string, string>> = {}) =>
  model([externalTensor(5, { location, ...more })])

describe('external data', () => {
  test.each(['model.onnx_data', 'weights.pb', 'onnx__MatMul_12', 'parts/Gewichte ü.1', 'a..b'])(
    'may lie in %s',
    (location) => {
      expect(check(at(location)).externalFiles).toEqual([location])
    },
  )

  test.each([
    '',
    '..',
    '.',
    '../model.onnx_data',
    'parts/../../secret',
    'parts//weights',
    'parts/',
    './weights',
    '. ./weights',
    ' ..',
    '/etc/passwd',
    String.raw`..\weights`,
    String.raw`C:\weights`,
    'C:weights',
    'file:///weights',
    '*/_ORT_MEM_ADDR_/*',
    'weights\0.bin',
    'weights\n',
    'w'.repeat(256),
  ])('may not lie in %j', (location) => {
    const place = 'unet/model.onnx#graph.initializer[0]: external data at'
    expect(() => check(at(location))).toThrow(place)
  })

  test.each<readonly [string, readonly Chunks[], readonly Chunks[]]>([
    [
      'a constant',
      [
        node({
          operator: 'Constant',
          attributes: [attribute('value', externalTensor(5, { location: '../x' }))],
        }),
      ],
      [],
    ],
    [
      'a list of tensors',
      [
        node({
          operator: 'Add',
          attributes: [attribute('all', externalTensor(10, { location: '../x' }))],
        }),
      ],
      [],
    ],
    ['a sparse weight', [message(15, externalTensor(1, { location: '../x' }))], []],
    ['the indices of a sparse weight', [message(15, externalTensor(2, { location: '../x' }))], []],
    [
      'a sparse constant',
      [
        node({
          operator: 'Constant',
          attributes: [attribute('value', message(22, externalTensor(1, { location: '../x' })))],
        }),
      ],
      [],
    ],
    [
      'a subgraph',
      [
        node({
          operator: 'If',
          attributes: [attribute('then', message(6, externalTensor(5, { location: '../x' })))],
        }),
      ],
      [],
    ],
    [
      'a function',
      [],
      [
        localFunction(
          'pkg',
          'F',
          node({
            operator: 'Constant',
            number: 7,
            attributes: [attribute('value', externalTensor(5, { location: '../x' }))],
          }),
        ),
      ],
    ],
    [
      'a default of a function',
      [],
      [
        localFunction(
          'pkg',
          'F',
          message(11, textField(1, 'a'), externalTensor(5, { location: '../x' })),
        ),
      ],
    ],
    [
      'a weight that says it is inside',
      [
        message(
          5,
          integerField(2, 1),
          message(13, textField(1, 'location'), textField(2, '../x')),
          integerField(14, 0),
        ),
      ],
      [],
    ],
  ])('are found in %s', (_, graph, others) => {
    expect(() => check(model(graph, ...others))).toThrow('external data at "../x"')
  })

  test.each([
    ['a negative offset', { offset: '-4' }, 'external_data.offset “-4”'],
    ['a fraction', { length: '1.5' }, 'external_data.length “1.5”'],
    ['another number system', { offset: '0x10' }, 'external_data.offset'],
    ['a number past counting', { offset: '9'.repeat(30) }, 'external_data.offset'],
    ['an offset past the end', { offset: '97' }, 'external data end at byte 113, the file at 112'],
    ['a length past the end', { length: '113' }, 'external data end at byte 113, the file at 112'],
  ])('are refused with %s', (_, more, problem) => {
    expect(() => check(at('weights', more), { weights: 112 })).toThrow(problem)
  })

  test('may end where their file ends, or in a file of unknown size', () => {
    expect(() => check(at('weights', { offset: '96' }), { weights: 112 })).not.toThrow()
    expect(() => check(at('weights', { offset: '97' }))).not.toThrow()
  })

  test('need a location, and only one', () => {
    expect(() => check(model([externalTensor(5, {})]))).toThrow('need one location')
    const two = message(
      5,
      ...['a', 'b'].map((one) => message(13, textField(1, 'location'), textField(2, one))),
    )
    expect(() => check(model([two]))).toThrow('need one location')
  })
})
