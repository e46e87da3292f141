import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import { readClipTokenizer } from '../../../src/inference/models/tokenizer-files.ts'
import type { ClipTokenizer } from '../../../src/inference/tokenizers/clip.ts'
import { absoluteError, type CaseResult } from '../measure.ts'
import { readGolden } from '../read.ts'
import { caseOf } from '../case.ts'

type TokenizerCase = {
  readonly text: string
  readonly length: number
  readonly ids: readonly number[]
}
type Index = {
  readonly bos: number
  readonly pad: number
  readonly cases: readonly TokenizerCase[]
}

export async function compareTokenizer(folder: string): Promise<readonly CaseResult[]> {
  const set = readGolden<Index>(folder, 'tokenizer')
  if (set === undefined) return []
  const tokenizer = await findTokenizer(folder, set.index)
  const results = set.index.cases.map((item, i) =>
    caseOf(`tokenizer[${i}] ${JSON.stringify(item.text).slice(0, 60)}`, () => {
      if (tokenizer === undefined) return { skipped: 'no model of the set has this vocabulary' }
      const { ids, tokenCount } = tokenizer.encode(item.text)
      return [
        { what: 'ids', error: absoluteError(ids, item.ids), tolerance: 0 },
        { what: 'length', error: Math.abs(tokenCount - item.length), tolerance: 0 },
      ]
    }),
  )
  return Promise.all(results)
}

/** The set names no folder: it is the tokenizer whose padding its cases show. */
async function findTokenizer(folder: string, index: Index): Promise<ClipTokenizer | undefined> {
  const models = path.join(folder, 'models')
  if (!existsSync(models)) return undefined
  for (const model of readdirSync(models).toSorted()) {
    const files = await openPackFiles(path.join(models, model))
    if (!files.has('tokenizer/vocab.json')) continue
    const tokenizer = await readClipTokenizer(files)
    const { ids } = tokenizer.encode('')
    if (ids[0] === index.bos && ids.at(-1) === index.pad) return tokenizer
  }
  return undefined
}
