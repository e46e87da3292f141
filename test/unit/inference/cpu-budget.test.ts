import { describe, expect, test } from 'vitest'
import { cpuBudget } from '../../../src/inference/runtime/cpu-budget.ts'

const v2 = '/sys/fs/cgroup/cpu.max'
const v1Quota = '/sys/fs/cgroup/cpu/cpu.cfs_quota_us'
const v1Period = '/sys/fs/cgroup/cpu/cpu.cfs_period_us'

function budget(files: Readonly<Record<string, string>>, cores = 16): number {
  return cpuBudget({ readText: (file) => files[file], cores })
}

describe('cpuBudget', () => {
  test.each([
    ['takes all cores without a cgroup', {}, 16],
    ['takes the quota of cgroup v2', { [v2]: '400000 100000\n' }, 4],
    ['takes all cores when cgroup v2 has no quota', { [v2]: 'max 100000\n' }, 16],
    ['rounds a broken quota down', { [v2]: '350000 100000\n' }, 3],
    ['takes one thread when less than one core is allowed', { [v2]: '50000 100000\n' }, 1],
    ['never takes more than the cores', { [v2]: '6400000 100000\n' }, 16],
    ['takes the quota of cgroup v1', { [v1Quota]: '200000\n', [v1Period]: '100000\n' }, 2],
    [
      'takes all cores when cgroup v1 has no quota',
      { [v1Quota]: '-1\n', [v1Period]: '100000\n' },
      16,
    ],
    ['ignores a file that makes no sense', { [v2]: 'nonsense' }, 16],
  ])('%s', (_, files, expected) => {
    expect(budget(files)).toBe(expected)
  })
})
