import path from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import { readClipTokenizer } from '../../../src/inference/models/tokenizer-files.ts'
import { type ClipTokenizer, createClipTokenizer } from '../../../src/inference/tokenizers/clip.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const demo = path.resolve(import.meta.dirname, '../../../models/demo')
let tokenizer: ClipTokenizer

beforeAll(async () => {
  tokenizer = await readClipTokenizer(await openPackFiles(demo))
})

const ids = (text: string) => tokenizer.encode(text).ids.slice(0, tokenizer.encode(text).tokenCount)

describe('the CLIP tokenizer', () => {
  test('frames and pads an empty prompt', () => {
    const { ids: all, tokenCount } = tokenizer.encode('')
    expect(all).toHaveLength(77)
    expect(tokenCount).toBe(2)
    expect(all[0]).toBe(839)
    expect(new Set(all.slice(1))).toEqual(new Set([840]))
  })

  test('cuts a long prompt and keeps its end mark', () => {
    const { ids: all, tokenCount } = tokenizer.encode('scratch '.repeat(200))
    expect(all).toHaveLength(77)
    expect(all[76]).toBe(840)
    expect(tokenCount).toBeGreaterThan(77)
  })

  test.each([
    ['case', 'A Scratch', 'a scratch'],
    ['white space', ' a \t\n\u0085 scratch\u00a0', 'a scratch'],
    ['composition', 'cafe\u0301', 'café'],
  ])('does not care about %s', (_, left, right) => {
    expect(ids(left)).toEqual(ids(right))
  })

  test('lowers a final sigma like any other', () => {
    expect(ids('ΣΑΣ')).toEqual(ids('σασ'))
  })

  test('knows its end mark in a text, but not in capitals', () => {
    expect(ids('<|endoftext|>')).toEqual([839, 840, 840])
    expect(ids('<|ENDOFTEXT|>').length).toBeGreaterThan(3)
  })

  test('refuses a vocabulary without its marks', () => {
    const files = {
      vocabulary: new Map([['a', 0]]),
      merges: '',
      length: 77,
      startToken: '<s>',
      endToken: '</s>',
      padToken: '</s>',
      unknownToken: '</s>',
    }
    const error = (() => {
      try {
        return createClipTokenizer(files)
      } catch (caught) {
        return caught
      }
    })()
    expect(isAppError(error, 'model.pack_invalid')).toBe(true)
    expect(String(error)).toContain('<s>')
  })
})
