import { readFileSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readLora } from '../../../../src/inference/lora/read-lora.ts'
import { readSafetensors } from '../../../../src/inference/lora/safetensors.ts'
import { longTests } from '../../../support/long.ts'
import { outcomeOf } from '../outcome-of.ts'
import { withHeader, writeSafetensors } from './safetensors-bytes.ts'

const numRuns = longTests ? 50_000 : 1000
const golden = readFileSync(
  path.join(import.meta.dirname, '../../../goldens/data/lora/peft.safetensors'),
)
const read = (bytes: Uint8Array) => readSafetensors(bytes, 'a.safetensors')

/** Header text for tensors given as name, shape and range. */
const header = (...tensors: (readonly [string, readonly number[], readonly number[]])[]) =>
  `{${tensors
    .map(([name, shape, range]) => {
      const entry = { dtype: 'F32', shape, data_offsets: range }
      return `${JSON.stringify(name)}:${JSON.stringify(entry)}`
    })
    .join(',')}}`

describe('a safetensors file', () => {
  test('gives its tensors as float32, whatever their type', () => {
    const halves = new Uint8Array(Uint16Array.from([0x3c00, 0xc100, 0x0001]).buffer)
    const brain = new Uint8Array(Uint16Array.from([0x3f80, 0xc020, 0x7f80]).buffer)
    const { metadata, tensors } = read(
      writeSafetensors(
        {
          odd: { shape: [1], values: halves.subarray(0, 2), dtype: 'F16' },
          single: { shape: [2, 2], values: [1, -2, 0.5, 3] },
          half: { shape: [3], values: halves, dtype: 'F16' },
          brain: { shape: [3, 1], values: brain, dtype: 'BF16' },
          scalar: { shape: [], values: [7] },
          none: { shape: [0, 4], values: [] },
        },
        { 'a "quoted": key': 'value, with {marks}' },
      ),
    )
    expect(metadata).toEqual({ 'a "quoted": key': 'value, with {marks}' })
    const values = Object.fromEntries(Array.from(tensors, ([name, one]) => [name, [...one.values]]))
    expect(values).toEqual({
      odd: [1],
      single: [1, -2, 0.5, 3],
      half: [1, -2.5, 2 ** -24],
      brain: [1, -2.5, Infinity],
      scalar: [7],
      none: [],
    })
    expect(tensors.get('brain')?.shape).toEqual([3, 1])
  })

  test('does not share memory with the bytes it was read from', () => {
    const bytes = Buffer.from(writeSafetensors({ a: { shape: [1], values: [5] } }))
    const { tensors } = read(bytes)
    bytes.fill(0)
    expect(tensors.get('a')?.values[0]).toBe(5)
  })

  const four = new Uint8Array(4)
  const eight = new Uint8Array(8)
  test.each<readonly [string, Uint8Array, string]>([
    ['that is empty', new Uint8Array(), '0 bytes are no safetensors file'],
    ['without its header', golden.subarray(0, 8), 'header: claims 9080 bytes, the file has 0'],
    ['that ends early', golden.subarray(0, golden.length - 1), 'the tensors end at byte'],
    ['that goes on', Buffer.concat([golden, four]), 'the tensors end at byte'],
    ['of a huge header', Buffer.alloc(16, 0xff), 'header: claims 18446744073709552000 bytes'],
    ['that is not JSON', withHeader('nonsense'), 'header: not valid JSON'],
    ['that is not UTF-8', withHeader('').fill(0xc0, 8), 'not valid JSON'],
    ['that is an array', withHeader('[]'), 'expected object'],
    ['nested deep', withHeader('['.repeat(1e6)), 'header: nested too deep'],
    ['with too many tensors', withHeader(`[${','.repeat(3e6)}]`), 'more than 100000 tensors'],
    [
      'with overlapping tensors',
      withHeader(header(['a', [1], [0, 4]], ['b', [1], [2, 6]]), eight),
      'b: overlaps the tensor before it',
    ],
    [
      'with equal ranges',
      withHeader(header(['a', [1], [0, 4]], ['b', [1], [0, 4]]), four),
      'overlaps',
    ],
    [
      'with a hole',
      withHeader(header(['a', [1], [4, 8]]), eight),
      'a: leaves a hole before it at byte 4',
    ],
    [
      'past its end',
      withHeader(header(['a', [2], [0, 8]]), four),
      'the tensors end at byte 8 of 4',
    ],
    [
      'turned round',
      withHeader(header(['a', [1], [4, 0]]), four),
      '-4 bytes are not F32 of shape [1]',
    ],
    [
      'of another size',
      withHeader(header(['a', [3], [0, 8]]), eight),
      'a: 8 bytes are not F32 of shape [3]',
    ],
    [
      'of a shape past counting',
      withHeader(header(['a', [2 ** 31, 2 ** 31, 2 ** 31], [0, 4]]), four),
      'are not F32 of shape',
    ],
    [
      'of a shape that wraps to 0',
      withHeader(header(['a', [2 ** 32, 2 ** 32], [0, 0]])),
      'are not F32',
    ],
    ['with a negative size', withHeader(header(['a', [-1], [0, 4]]), four), '#a.shape.0'],
    ['with a fraction for a size', withHeader(header(['a', [0.5], [0, 2]]), four), '#a.shape.0'],
    [
      'with the same name twice',
      withHeader(header(['a', [0], [0, 0]], ['a', [1], [0, 4]]), four),
      'a name is there twice',
    ],
    [
      'with a member twice',
      withHeader('{"a":{"dtype":"F32","shape":[7],"shape":[1],"data_offsets":[0,4]}}', four),
      'a name is there twice',
    ],
    [
      'that names a prototype',
      withHeader(header(['__proto__', [1], [0, 4]]), four),
      'is there twice or is not allowed',
    ],
    [
      'of another type',
      writeSafetensors({ a: { shape: [4], values: four, dtype: 'U8' } }),
      'a: type U8 is not one of F32, F16, BF16',
    ],
    [
      'of a type from a prototype',
      writeSafetensors({ a: { shape: [4], values: four, dtype: 'toString' } }),
      'type toString',
    ],
    ['with text for metadata', withHeader('{"__metadata__":"a"}'), '#__metadata__'],
  ])('%s is refused by name', (_, bytes, problem) => {
    expect(() => read(bytes)).toThrow(
      expect.objectContaining({
        code: 'model.pack_invalid',
        message: expect.stringMatching(/^a\.safetensors[:#]/),
      }),
    )
    expect(() => read(bytes)).toThrow(problem)
  })

  test('is refused before anything as large as its claim is allocated', () => {
    const claim = withHeader(header(['a', [2 ** 40], [0, 2 ** 42]]), eight)
    const before = process.memoryUsage().arrayBuffers
    expect(() => read(claim)).toThrow('the tensors end at byte')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1e6)
  })

  test(
    'with random changes is read or refused, but never breaks the reader',
    { timeout: 600_000 },
    () => {
      const headerEnd = 8 + golden.readUInt32LE(0)
      const change = fc.record({
        at: fc.oneof(fc.nat(headerEnd), fc.nat(golden.length - 1)),
        bytes: fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 8 }),
          fc
            .constantFrom('0', '9', '"', ',', '[', ']', '{', '}', ':', '-', '1e9', 'null')
            .map((text) => Buffer.from(text)),
        ),
      })
      const outcomes = new Set<string>()
      const end = fc.option(fc.nat(golden.length), { nil: golden.length })
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), end, (changes, length) => {
          const bytes = Buffer.from(golden)
          for (const { at, bytes: put } of changes)
            bytes.set(put.subarray(0, bytes.length - at), at)
          outcomes.add(outcomeOf(() => readLora(bytes.subarray(0, length), 'fuzzed')))
        }),
        { numRuns, seed: 4 },
      )
      expect([...outcomes].toSorted()).toEqual(['read', 'refused'])
    },
  )
})
