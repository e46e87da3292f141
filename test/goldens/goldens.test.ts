import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeGroup } from './describe.ts'
import { countCases, isFailed, runGoldens } from './run-goldens.ts'

const sets = [
  {
    name: 'data',
    groups: ['schedulers', 'rng', 'tokenizer', 'components', 'pipelines', 'lora'],
    casesMin: 500,
  },
  { name: 'extra-data', groups: ['schedulers', 'components', 'pipelines', 'lora'], casesMin: 300 },
]

describe('the golden values of diffusers', () => {
  test.each(sets)(
    'in $name are met by every case',
    async ({ name, groups, casesMin }) => {
      const results = await runGoldens(path.join(import.meta.dirname, name))
      const failed = results.filter(({ cases }) => cases.some(isFailed))
      expect(failed.map(describeGroup)).toEqual([])
      expect(countCases(results)).toMatchObject({ failed: 0, skipped: 0 })
      const found = results.filter(({ cases }) => cases.length > 0).map(({ group }) => group)
      expect(found).toEqual(groups)
      expect(countCases(results).passed).toBeGreaterThan(casesMin)
    },
    120_000,
  )

  test('are missed by a case whose numbers are off', () => {
    const checks = [{ what: 'steps', error: 3e-5, tolerance: 2e-5 }]
    expect(isFailed({ kind: 'Compared', name: 'off', checks })).toBe(true)
    const broken = [{ what: 'steps', error: Number.NaN, tolerance: 2e-5 }]
    expect(isFailed({ kind: 'Compared', name: 'broken', checks: broken })).toBe(true)
  })
})
