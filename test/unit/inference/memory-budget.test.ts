import { expect, test } from 'vitest'
import { memoryBudgetBytes } from '../../../src/inference/runtime/memory-budget.ts'

const v2 = '/sys/fs/cgroup/memory.max'
const v1 = '/sys/fs/cgroup/memory/memory.limit_in_bytes'

test.each([
  ['all of the host without a cgroup', {}, 1000],
  ['the limit of cgroup v2', { [v2]: '400\n' }, 400],
  ['all of the host when cgroup v2 has no limit', { [v2]: 'max\n' }, 1000],
  ['the limit of cgroup v1', { [v1]: '300\n' }, 300],
  ['all of the host when cgroup v1 has no limit', { [v1]: '9223372036854771712\n' }, 1000],
  ['never more than the host', { [v2]: '5000\n' }, 1000],
  ['all of the host when the file makes no sense', { [v2]: 'nonsense' }, 1000],
  ['all of the host when the file is empty', { [v2]: '' }, 1000],
])('takes %s', (_, files: Readonly<Record<string, string>>, expected) => {
  const sources = { readText: (file: string) => files[file], hostBytes: 1000 }
  expect(memoryBudgetBytes(sources)).toBe(expected)
})
