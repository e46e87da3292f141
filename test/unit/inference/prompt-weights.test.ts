import { describe, expect, test } from 'vitest'
import { parseWeights } from '../../../src/inference/tokenizers/prompt-weights.ts'

/** `text*weight` for each part, weights in three digits. */
function read(text: string): readonly string[] {
  return parseWeights(text).map((part) => `${part.text}*${Number(part.weight.toFixed(3))}`)
}

describe('weights in a prompt', () => {
  test.each([
    ['', ['*1']],
    ['a bolt', ['a bolt*1']],
    ['a (rusty) bolt', ['a *1', 'rusty*1.1', ' bolt*1']],
    ['a [rusty] bolt', ['a *1', 'rusty*0.909', ' bolt*1']],
    ['((a))', ['a*1.21']],
    ['[[a]]', ['a*0.826']],
    ['(a:1.5)', ['a*1.5']],
    ['(a: 1.5 )', ['a*1.5']],
    ['(a:.5) (b:+2) (c:-1)', ['a*0.5', ' *1', 'b*2', ' *1', 'c*-1']],
    ['(a (b:2) c)', ['a *1.1', 'b*2.2', ' c*1.1']],
    ['(a [b]:2)', ['a *2', 'b*1.818']],
    ['(one:two:3)', ['one:two*3']],
    ['ratio 3:2', ['ratio 3:2*1']],
    ['a:1.5)', ['a:1.5)*1']],
    ['a) b]', ['a) b]*1']],
    ['(a', ['a*1.1']],
    ['[a (b', ['a *0.909', 'b*1']],
    ['(a:1.2.3)', ['a:1.2.3*1.1']],
    ['\\(a\\) \\[b\\]', ['(a) [b]*1']],
    ['(\\(a\\):2)', ['(a)*2']],
    ['a\\\\b', ['a\\b*1']],
    ['()', ['*1']],
  ])('%j are read as %j', (text, parts) => {
    expect(read(text)).toEqual(parts)
  })

  test('end brackets opened last first, each of its own kind', () => {
    expect(read('(a [b) c]')).toEqual(['a *1.1', 'b*1', ' c*0.909'])
  })

  test('are read in bounded time, however deep', () => {
    const deep = 1000
    const parts = parseWeights(`${'('.repeat(deep)}a${')'.repeat(deep)}`)
    expect(parts).toEqual([{ text: 'a', weight: expect.any(Number) }])
    expect(parts[0].weight / 1.1 ** deep).toBeCloseTo(1, 9)
  })
})
