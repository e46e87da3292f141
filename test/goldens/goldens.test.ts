import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeGroup } from './describe.ts'
import { countCases, isFailed, runGoldens } from './run-goldens.ts'

const folder = path.join(import.meta.dirname, 'data')

describe('the golden values of diffusers', () => {
  test('are met by every case, and by all of rng, tokenizer and components', async () => {
    const results = await runGoldens(folder)
    const failed = results.filter(({ cases }) => cases.some(isFailed))
    expect(failed.map(describeGroup)).toEqual([])
    for (const group of ['rng', 'tokenizer', 'components']) {
      const result = results.find((item) => item.group === group)
      expect(result && countCases([result])).toMatchObject({ failed: 0, skipped: 0 })
      expect(result?.cases.length).toBeGreaterThan(0)
    }
    expect(countCases(results).passed).toBeGreaterThan(300)
  }, 120_000)

  test('are missed by a case whose numbers are off', () => {
    const checks = [{ what: 'steps', error: 3e-5, tolerance: 2e-5 }]
    expect(isFailed({ kind: 'Compared', name: 'off', checks })).toBe(true)
    const broken = [{ what: 'steps', error: Number.NaN, tolerance: 2e-5 }]
    expect(isFailed({ kind: 'Compared', name: 'broken', checks: broken })).toBe(true)
  })
})
