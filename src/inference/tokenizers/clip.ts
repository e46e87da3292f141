import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { byteAlphabet } from './byte-alphabet.ts'
import { BytePairMerger } from './byte-pair-merger.ts'

export type ClipTokenizerFiles = {
  /** Token → id, from vocab.json. */
  readonly vocabulary: ReadonlyMap<string, number>
  /** Text of merges.txt. */
  readonly merges: string
  readonly startToken: string
  readonly endToken: string
  readonly padToken: string
  readonly unknownToken: string
  readonly length: number
}

export type Encoding = {
  /** One window: start, text, end and padding, in all the model's length. */
  readonly ids: readonly number[]
  /** Ids with start and end, before truncation and padding. */
  readonly tokenCount: number
}

export type ClipTokenizer = {
  /** The first window of a text; the rest is cut off. */
  readonly encode: (text: string) => Encoding
  /** All ids of a text, without start, end and padding. */
  readonly split: (text: string) => readonly number[]
  /** Puts at most `windowTokens` ids between start and end, and pads. */
  readonly frame: (ids: readonly number[]) => readonly number[]
  readonly windowTokens: number
}

// Unicode White_Space, which differs from JavaScript's \s in U+0085 and U+FEFF.
const space = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const spaces = new RegExp(`[${space}]+`, 'gu')
const words = new RegExp(`'s|'t|'re|'ve|'m|'ll|'d|\\p{L}+|\\p{N}|[^${space}\\p{L}\\p{N}]+`, 'gu')

/**
 * CLIP's byte-pair tokenizer as the Rust `tokenizers` library runs it: NFC, whitespace collapsed,
 * lower case letter by letter (JavaScript's whole-word rule would write a final sigma).
 */
export function createClipTokenizer(files: ClipTokenizerFiles): ClipTokenizer {
  const alphabet = byteAlphabet()
  const merger = new BytePairMerger(readMerges(files.merges))
  const [start, end, pad, unknown] = [
    files.startToken,
    files.endToken,
    files.padToken,
    files.unknownToken,
  ].map((token) => idOf(token, files.vocabulary))
  const specials = new Map([
    [files.startToken, start],
    [files.endToken, end],
  ])
  const utf8 = new TextEncoder()

  function encodeWord(word: string): readonly number[] {
    const letters = Array.from(utf8.encode(word), (byte) => alphabet[byte]).join('')
    return merger.split(letters).map((symbol) => files.vocabulary.get(symbol) ?? unknown)
  }

  function encodePart(part: string): readonly number[] {
    const special = specials.get(part)
    if (special !== undefined) return [special]
    return (normalise(part).match(words) ?? []).flatMap(encodeWord)
  }

  const specialPattern = new RegExp(`(${[...specials.keys()].map(escapePattern).join('|')})`, 'u')
  const windowTokens = files.length - 2
  const split = (text: string) => text.split(specialPattern).flatMap(encodePart)

  function frame(ids: readonly number[]): readonly number[] {
    assert(ids.length <= windowTokens, 'the ids fit one window')
    const padding = Array.from({ length: windowTokens - ids.length }, () => pad)
    return [start, ...ids, end, ...padding]
  }

  function encode(text: string): Encoding {
    const ids = split(text)
    return { ids: frame(ids.slice(0, windowTokens)), tokenCount: ids.length + 2 }
  }

  return { encode, split, frame, windowTokens }
}

function escapePattern(text: string): string {
  return text.replace(/[|\\{}()[\]^$+*?.]/g, '\\$&')
}

function normalise(text: string): string {
  const collapsed = text.normalize('NFC').replace(spaces, ' ')
  return Array.from(collapsed, (letter) => letter.toLowerCase()).join('')
}

function readMerges(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#version'))
}

function idOf(token: string, vocabulary: ReadonlyMap<string, number>): number {
  const id = vocabulary.get(token)
  if (id !== undefined) return id
  const message = `vocab.json has no token ${token}`
  throw new AppError('model.pack_invalid', message, {
    fields: [{ path: 'tokenizer/vocab.json', message }],
  })
}
