import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { drawDigits } from '../../../src/api/features/codes/digits.ts'
import {
  codeLimits,
  guessProbability,
  yearlyGuessProbability,
} from '../../../src/api/features/codes/limits.ts'

const threeBytes = (number: number): Uint8Array => {
  const bytes = Buffer.alloc(3)
  bytes.writeUIntBE(number, 0, 3)
  return bytes
}

describe('the digits of a code', () => {
  test.each([
    [0, '000000'],
    [7, '000007'],
    [999_999, '999999'],
    [1_000_000, '000000'],
    [15_999_999, '999999'],
  ])('are six for the random number %i', (number, digits) => {
    expect(drawDigits(() => threeBytes(number))).toBe(digits)
  })

  test('are drawn again where a remainder would make some likelier', () => {
    const draws = [16_777_215, 16_000_000, 42].map(threeBytes)
    expect(drawDigits(() => draws.shift() ?? threeBytes(0))).toBe('000042')
  })

  test('never come from a source that gives nothing fair', () => {
    expect(() => drawDigits(() => threeBytes(16_777_215))).toThrow('no fair numbers')
  })

  test('each stand for 16 of the numbers that are taken', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), (code) => {
        const numbers = Array.from({ length: 16 }, (_, turn) => turn * 1_000_000 + code)
        const digits = new Set(numbers.map((number) => drawDigits(() => threeBytes(number))))
        expect([...digits]).toEqual([String(code).padStart(6, '0')])
      }),
    )
  })

  test('are spread evenly: chi-squared over the first digit of 20,000 codes', () => {
    const counts = new Map<string, number>()
    for (let draw = 0; draw < 20_000; draw += 1) {
      const first = drawDigits(randomBytes).charAt(0)
      counts.set(first, (counts.get(first) ?? 0) + 1)
    }
    const chiSquared = [...counts.values()].reduce(
      (sum, count) => sum + (count - 2000) ** 2 / 2000,
      0,
    )
    expect(counts.size).toBe(10)
    // Nine degrees of freedom: above this once in 10 million runs.
    expect(chiSquared).toBeLessThan(50)
  })
})

describe('guessing', () => {
  test('one code succeeds with at most 5e-6, from the limits', () => {
    expect(guessProbability()).toBe(codeLimits.triesMax / 10 ** codeLimits.digits)
    expect(guessProbability()).toBeLessThanOrEqual(5e-6)
  })

  test('an address for a year succeeds with 1.8 %, and with 41 % were there no daily limit', () => {
    expect(yearlyGuessProbability()).toBeCloseTo(0.018, 3)
    const perDay = (codeLimits.dayMs / codeLimits.windowMs) * codeLimits.sendsMax
    expect(yearlyGuessProbability(perDay)).toBeCloseTo(0.41, 2)
  })
})
