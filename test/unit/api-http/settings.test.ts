import { describe, expect, test } from 'vitest'
import {
  applyChange,
  flatten,
  mergeTiers,
  settingsFaults,
} from '../../../src/api/features/settings/change.ts'
import { valuesOf } from '../../../src/api/features/settings/store.ts'
import { defaultTierCaps, tierAt } from '../../../src/shared/domain/membership.ts'
import { defaultSettings } from '../../../src/shared/domain/settings.ts'
import { settingsChange, settingsView } from '../../../src/shared/wire/settings.ts'

describe('a change of the settings', () => {
  test('leaves what it does not name', () => {
    const after = applyChange(defaultSettings, { tiers: { Free: { runningJobs: 2 } } })
    expect(after.tiers.Free).toEqual({ ...defaultTierCaps.Free, runningJobs: 2 })
    expect({ ...after, tiers: defaultTierCaps }).toEqual(defaultSettings)
  })

  test.each([
    [{ runningJobs: 500, queuedJobs: 500 }, []],
    [{ runningJobs: 500, queuedJobs: 501 }, ['/values/tiers/Premium/queuedJobs']],
  ])('with caps %j has the faults %j', (caps, paths) => {
    const after = applyChange(defaultSettings, { tiers: { Premium: caps } })
    expect(settingsFaults(after).map(({ path }) => path)).toEqual(paths)
  })

  test('that makes refresh tokens live shorter than access tokens is refused', () => {
    const change = { accessTokenSeconds: 3601, refreshTokenSeconds: 3600 }
    const faults = settingsFaults(applyChange(defaultSettings, change))
    expect(faults).toMatchObject([{ path: '/values/refreshTokenSeconds' }])
  })

  test.each([
    { values: { tiers: { Free: { runningJobs: 0 } } } },
    { values: { tiers: { Free: { runningJobs: 1001 } } } },
    { values: { tiers: { Free: { imagesPerJob: 1601 } } } },
    { values: { tiers: { Gold: {} } } },
    { values: { tiers: { Free: { stepsMax: 1 } } } },
    { values: { overLimit: 'Drop' } },
    { values: { overLimit: { $gt: '' } } },
    { values: { guestDays: 0 } },
    { values: { guestDays: 1.5 } },
    { values: {}, revision: -1 },
  ])('%j is refused', (body) => {
    expect(settingsChange.safeParse({ revision: 0, ...body }).success).toBe(false)
  })

  test('the defaults are within the bounds, and sound together', () => {
    expect(settingsView.parse({ revision: 0, values: defaultSettings }).values).toEqual(
      defaultSettings,
    )
    expect(settingsFaults(defaultSettings)).toEqual([])
  })

  test('is written down flat', () => {
    const flat = flatten(defaultSettings)
    expect(flat).toMatchObject({ overLimit: 'Queue', 'tiers.Premium.queuedJobs': 900 })
    for (const value of Object.values(flat)) expect(typeof value).not.toBe('object')
  })
})

describe('stored settings', () => {
  test('of an earlier release get the defaults of what is new', () => {
    const { runningJobs, ...known } = defaultTierCaps.Free
    const values = { tiers: mergeTiers(defaultTierCaps, { Free: { queuedJobs: 7 } }) }
    const stored = { ...values.tiers, Free: { ...known, queuedJobs: 7 } }
    // What an earlier release wrote.
    const row = { values: { tiers: stored } } as unknown as Parameters<typeof valuesOf>[0]
    expect(valuesOf(row).tiers.Free).toEqual({ ...known, runningJobs, queuedJobs: 7 })
  })
})

describe('a tier', () => {
  test.each([
    [999, 'Free'],
    [1000, 'Free'],
    [1001, 'Premium'],
    [null, 'Premium'],
  ] as const)('that ends at %s is %s at 1000', (expiresMs, tier) => {
    expect(tierAt({ tier: 'Premium', expiresMs }, 1000)).toBe(tier)
  })
})
