import { describe, expect, it } from 'vitest'
import {
  saysTheSame,
  viewWorkload,
  type Workload,
} from '../../../../src/controller/kueue/workload.ts'
import type { Condition } from '../../../../src/shared/crd/common.ts'
import { aCondition, at } from '../builders.ts'

function aWorkload(conditions: readonly Condition[], active?: boolean): Workload {
  return {
    metadata: { name: 'w', uid: 'w', resourceVersion: '1', creationTimestamp: at(0) },
    spec: active === undefined ? {} : { active },
    status: { conditions },
  }
}

const pending = aCondition('QuotaReserved', 'False/Pending', 'no room')
const reserved = aCondition('QuotaReserved', 'True/QuotaReserved', 'Quota reserved in …')
const evicted = aCondition('Evicted', 'True/Preempted', 'Preempted to accommodate …')

describe('a Workload', () => {
  it.each([
    ['says nothing yet', aWorkload([]), { active: true, message: '' }],
    ['waits', aWorkload([pending]), { active: true, message: 'no room' }],
    [
      'was evicted',
      aWorkload([pending, evicted], true),
      { active: true, message: evicted.message },
    ],
    [
      'is inactive',
      aWorkload([], false),
      { active: false, message: 'The workload is deactivated' },
    ],
    ['waits for checks', aWorkload([reserved]), { active: true }],
  ])('that %s', (_, workload, expected) => {
    expect(viewWorkload(workload)).toMatchObject(expected)
  })

  it('without a status says nothing', () => {
    const { metadata } = aWorkload([])
    expect(viewWorkload({ metadata })).toEqual({ active: true, message: '' })
  })
})

describe('two messages of Kueue', () => {
  const first = 'insufficient unused quota for nvidia.com/gpu in flavor a, 2 more needed'

  it('say the same when only numbers, or what follows the first sentence, differ', () => {
    expect(saysTheSame(first, first.replace('2', '17'))).toBe(true)
    expect(saysTheSame('It waits. For a.', 'It waits. For b.')).toBe(true)
  })

  it('say something else otherwise', () => {
    expect(saysTheSame(first, first.replace('flavor a', 'flavor b'))).toBe(false)
    expect(saysTheSame(first, '')).toBe(false)
  })
})
