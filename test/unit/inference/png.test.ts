import { decode } from 'fast-png'
import { assert, constant, integer, property, record, tuple, uint8Array } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodePng } from '../../../src/inference/output/png.ts'
import { readPngTexts } from '../../support/png-text.ts'

const pixel = { width: 1, height: 1, pixels: Uint8Array.of(1, 2, 3) }

describe('encodePng', () => {
  test('is read back by another decoder, pixel by pixel', () => {
    const picture = tuple(integer({ min: 1, max: 9 }), integer({ min: 1, max: 9 })).chain(
      ([width, height]) => {
        const size = width * height * 3
        const pixels = uint8Array({ minLength: size, maxLength: size })
        return record({ width: constant(width), height: constant(height), pixels })
      },
    )
    assert(
      property(picture, (expected) => {
        const { width, height, channels, data } = decode(encodePng(expected))
        expect({ width, height, channels }).toEqual({ ...expected, pixels: undefined, channels: 3 })
        expect(Uint8Array.from(data)).toEqual(expected.pixels)
      }),
      { numRuns: 50 },
    )
  })

  test.each([
    ['Latin-1', 'a café, 50 µm'],
    ['Korean', '금속 표면의 긁힌 자국'],
    ['characters outside of the first plane', 'a 🔩 on steel'],
    ['several lines', 'a\nNegative prompt: b\nSteps: 1'],
    ['nothing', ''],
  ])('carries a text of %s', (_, text) => {
    expect(readPngTexts(encodePng(pixel, { parameters: text }))).toEqual({ parameters: text })
  })

  test('writes Latin-1 so that readers without iTXt see it', () => {
    const { text } = decode(encodePng(pixel, { parameters: 'plain' }))
    expect(text).toEqual({ parameters: 'plain' })
  })

  test('refuses pixels that do not fit the size', () => {
    expect(() => encodePng({ ...pixel, width: 2 })).toThrow('three bytes per pixel')
  })
})
