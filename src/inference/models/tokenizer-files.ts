import { type ClipTokenizer, createClipTokenizer } from '../tokenizers/clip.ts'
import { packError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

type Json = Readonly<Record<string, unknown>>

/** Reads vocab.json, merges.txt and tokenizer_config.json of a CLIP tokenizer's folder. */
export async function readClipTokenizer(
  files: PackFiles,
  folder = 'tokenizer',
): Promise<ClipTokenizer> {
  const [vocabulary, merges, config, specials] = await Promise.all([
    files.readJson(`${folder}/vocab.json`),
    files.read(`${folder}/merges.txt`),
    readOptional(files, `${folder}/tokenizer_config.json`),
    readOptional(files, `${folder}/special_tokens_map.json`),
  ])
  const token = (key: string, fallback: string) =>
    tokenText(config[key]) ?? tokenText(specials[key]) ?? fallback
  const endToken = token('eos_token', '<|endoftext|>')
  const length = config['model_max_length']
  return createClipTokenizer({
    vocabulary: readVocabulary(vocabulary, `${folder}/vocab.json`),
    merges: merges.toString('utf8'),
    startToken: token('bos_token', '<|startoftext|>'),
    endToken,
    padToken: token('pad_token', endToken),
    unknownToken: token('unk_token', endToken),
    // Some packs write 10³⁰ for “no limit”; the text encoder has 77 positions.
    length: typeof length === 'number' && length <= 1024 ? length : 77,
  })
}

async function readOptional(files: PackFiles, file: string): Promise<Json> {
  return files.has(file) ? files.readJson(file) : {}
}

/** A token is written as its text or as an object with `content`. */
function tokenText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null || !('content' in value)) return undefined
  return typeof value.content === 'string' ? value.content : undefined
}

function readVocabulary(json: Json, file: string): ReadonlyMap<string, number> {
  const vocabulary = new Map<string, number>()
  for (const [token, id] of Object.entries(json)) {
    if (typeof id !== 'number') throw packError({ file, field: token }, 'the id is not a number')
    vocabulary.set(token, id)
  }
  return vocabulary
}
