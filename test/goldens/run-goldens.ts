import { compareComponents } from './groups/components.ts'
import { compareLoras, comparePipelines } from './groups/pipelines.ts'
import { compareRng } from './groups/rng.ts'
import { compareSchedulers } from './groups/schedulers.ts'
import { compareTokenizer } from './groups/tokenizer.ts'
import { type CaseResult, failedChecks, type GroupResult } from './measure.ts'

type CompareGroup = (folder: string) => Promise<readonly CaseResult[]>

const groups: readonly (readonly [string, CompareGroup])[] = [
  ['schedulers', compareSchedulers],
  ['rng', compareRng],
  ['tokenizer', compareTokenizer],
  ['components', compareComponents],
  ['pipelines', comparePipelines],
  ['lora', compareLoras],
]

/** Runs every case of a set of goldens; `onGroup` sees each group as it is done. */
export async function runGoldens(
  folder: string,
  onGroup: (result: GroupResult) => void = () => {},
): Promise<readonly GroupResult[]> {
  const results: GroupResult[] = []
  for (const [group, compare] of groups) {
    const result = { group, cases: await compare(folder) }
    onGroup(result)
    results.push(result)
  }
  return results
}

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number }

export function countCases(results: readonly GroupResult[]): Counts {
  const cases = results.flatMap((result) => result.cases)
  const failed = cases.filter(isFailed).length
  const skipped = cases.filter((item) => item.kind === 'Skipped').length
  return { passed: cases.length - failed - skipped, failed, skipped }
}

export function isFailed(result: CaseResult): boolean {
  return result.kind === 'Broken' || failedChecks(result).length > 0
}
