import { describe, expect, test } from 'vitest'
import { describeWaiting, needsLeader } from '../../../src/api/features/queue/describe.ts'
import type { JobRow } from '../../../src/api/features/jobs/row.ts'
import type { Condition } from '../../../src/shared/crd/common.ts'
import { generationJobReasons } from '../../../src/shared/crd/conditions.ts'
import { type ExplainedJob, liveReasons } from '../../../src/shared/wire/queue.ts'
import { pendingReasons, queueView } from '../../../src/shared/wire/queue-view.ts'

const time = '2026-11-21T14:00:00Z'

function conditions(...all: readonly string[]): Condition[] {
  return all.map((text) => {
    const [type = '', status = '', reason = ''] = text.split('/')
    const parsed = status === 'True' || status === 'False' ? status : 'Unknown'
    return { type, status: parsed, reason, message: '', lastTransitionTime: time }
  })
}

function pending(...all: readonly string[]): Pick<JobRow, 'state' | 'conditions'> {
  return { state: 'Pending', conditions: conditions(...all) }
}

const live: ExplainedJob = {
  uid: 'u',
  reason: 'UserLimit',
  position: 3,
  aheadEstimate: 7,
  estimatedStartTime: time,
  estimatedEndTime: null,
  basis: 'Planned',
}
const nothing = {
  position: null,
  aheadEstimate: null,
  estimatedStartTime: null,
  estimatedCompletionTime: null,
}

const ready = 'ModelReady/True/Ready'
const held = 'CreditsReserved/True/Reserved'

describe('why a job waits', () => {
  test.each([
    [['ModelReady/False/ModelNotFound'], 'ModelNotReady'],
    [['ModelReady/False/ModelNotReady'], 'ModelNotReady'],
    [['ModelReady/False/UnsupportedTask'], 'ModelNotReady'],
    [['ModelReady/False/NotVisible'], 'ModelNotReady'],
    [['ModelReady/False/ModelLoading', held], 'ModelLoading'],
    [[ready, 'CreditsReserved/False/InsufficientCredits'], 'InsufficientCredits'],
    [[ready, 'CreditsReserved/False/HoldLimit'], 'HoldLimit'],
    [[ready, held, 'Admitted/False/Suspended'], 'Suspended'],
    [['ModelReady/False/NotVisible', 'CreditsReserved/False/HoldLimit'], 'ModelNotReady'],
    [['CreditsReserved/False/HoldLimit', 'Admitted/False/Suspended'], 'HoldLimit'],
  ] as const)('%j says %s by itself, whatever the leader says', (all, reason) => {
    const row = pending(...all)
    expect(needsLeader(row)).toBe(false)
    expect(describeWaiting(row, live)).toEqual({ ...nothing, reason })
  })

  test.each([
    [[]],
    [['CreditsReserved/Unknown/Pending']],
    [[ready, held, 'Admitted/False/Queued']],
    [[ready, held, 'Admitted/True/Admitted', 'PodsReady/False/Starting']],
    [[ready, held, 'Admitted/False/Queued', 'PodsReady/False/BackingOff']],
    // True again, whatever its reason was before.
    [['ModelReady/True/ModelLoading', held]],
  ])('%j leaves it to the leader', (all) => {
    const row = pending(...all)
    expect(needsLeader(row)).toBe(true)
    expect(describeWaiting(row, live)).toEqual({
      reason: 'UserLimit',
      position: 3,
      aheadEstimate: 7,
      estimatedStartTime: time,
      estimatedCompletionTime: null,
    })
    expect(describeWaiting(row, undefined)).toEqual({ ...nothing, reason: 'Unknown' })
  })

  test('is not known of a job that is being accepted', () => {
    const row = { state: 'Accepting', conditions: [] } as const
    expect(describeWaiting(row, undefined)?.reason).toBe('Unknown')
  })

  test.each(['Running', 'Completed', 'Cancelled', 'Failed'] as const)(
    'is no question for a job that is %s',
    (state) => {
      const row = { state, conditions: conditions('CreditsReserved/False/HoldLimit') }
      expect(needsLeader(row)).toBe(false)
      expect(describeWaiting(row, live)).toBeNull()
    },
  )
})

test('every word of the leader and of the api has a sentence, and no other', () => {
  const words = queueView.shape.reason.options
  expect(words.toSorted()).toEqual(Object.keys(pendingReasons).toSorted())
  for (const word of liveReasons) expect(words).toContain(word)
})

test('the reasons why a Model keeps a job waiting are all known here', () => {
  for (const reason of Object.keys(generationJobReasons.ModelReady)) {
    const isGood = reason === 'Ready'
    expect(needsLeader(pending(`ModelReady/False/${reason}`))).toBe(isGood)
  }
})
