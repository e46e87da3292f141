import { describe, expect, it } from 'vitest'
import type { AttemptEnd } from '../../../src/shared/crd/generation-job.ts'
import {
  aJob,
  anAttempt,
  anEndedPod,
  aPod,
  at,
  output,
  reported,
  runningStatus,
} from './builders.ts'
import { decided } from './decided.ts'

function endOf(options: Parameters<typeof decided>[0]): AttemptEnd | undefined {
  return decided(options).patch.attempt?.outcome
}

const lost = anEndedPod(143, { disrupted: true })

describe('how an attempt ended is written down', () => {
  it.each([
    ['Completed', anEndedPod(0), 'Completed'],
    ['InvalidInput', anEndedPod(20), 'nothing'],
    ['Failed', anEndedPod(1), 'Failed'],
    ['Disrupted', lost, 'Cancelled'],
    ['Disrupted', anEndedPod(143), 'Cancelled'],
  ] as const)('as %s', (end, pod, reason) => {
    const job = aJob({ status: runningStatus() })
    expect(endOf({ job, attempts: [anAttempt(pod)], report: reported(reason) })).toBe(end)
  })

  it('as Failed and Disrupted also when it is the last one', () => {
    const spec = { backoffLimit: 0 }
    const failing = aJob({ status: runningStatus(), spec })
    const failed = { attempts: [anAttempt(anEndedPod(1))], report: reported('Failed') }
    expect(endOf({ job: failing, ...failed })).toBe('Failed')
    const unlucky = aJob({ status: runningStatus({ disruptedAttempts: 10 }), spec })
    const gone = { attempts: [anAttempt(lost)], report: reported('nothing') }
    expect(endOf({ job: unlucky, ...gone })).toBe('Disrupted')
    const late = aJob({ status: runningStatus(), spec: { activeDeadlineSeconds: 1 } })
    expect(endOf({ job: late, ...gone })).toBe('Disrupted')
  })

  it('and not while it runs', () => {
    const job = aJob({ status: runningStatus() })
    expect(endOf({ job, attempts: [anAttempt()] })).toBeUndefined()
  })
})

describe('an attempt of a cancelled job', () => {
  const job = aJob({ status: runningStatus(), spec: { cancel: true } })

  it.each([
    ['stopped and reported', { pod: anEndedPod(10), reason: 'Cancelled' }, 'Cancelled'],
    ['killed without a report', { pod: anEndedPod(137), reason: 'nothing' }, 'Cancelled'],
    [
      'evicted at the same time',
      { pod: anEndedPod(10, { disrupted: true }), reason: 'Cancelled' },
      'Disrupted',
    ],
    ['failed at the same time', { pod: anEndedPod(1), reason: 'Failed' }, 'Failed'],
    ['completed at the last moment', { pod: anEndedPod(0), reason: 'Completed' }, 'Completed'],
  ] as const)('that was %s', (_, { pod, reason }, end) => {
    expect(endOf({ job, attempts: [anAttempt(pod)], report: reported(reason) })).toBe(end)
  })

  it('that is gone was cancelled when it reported, and lost when it did not', () => {
    const gone = { job, attempts: [], confirmedGone: true }
    expect(endOf({ ...gone, report: reported('Cancelled') })).toBe('Cancelled')
    expect(endOf({ ...gone, report: reported('nothing') })).toBe('Disrupted')
  })

  it('that was suspended is not the cancel’s', () => {
    const spec = { cancel: true, suspend: true }
    const suspended = aJob({ status: runningStatus(), spec })
    const attempts = [anAttempt(anEndedPod(10))]
    const report = reported('Cancelled', [output])
    expect(endOf({ job: suspended, attempts, report })).toBe('Suspended')
  })

  it.each(['Failed', 'Disrupted', 'Suspended'] as const)(
    'keeps its end %s when the cancel comes in the pause after it',
    (outcome) => {
      const status = runningStatus({ retryTime: at(90) })
      const attempt = { number: 1, podUID: 'pod-1', outcome }
      const paused = aJob({ status: { ...status, attempt }, spec: { cancel: true } })
      for (const attempts of [[], [anAttempt(aPod({ phase: 'Failed' }))]]) {
        const { patch, conditions } = decided({ job: paused, attempts })
        expect(conditions['Succeeded']).toBe('False/Cancelled')
        expect({ ...attempt, ...patch.attempt }).toMatchObject({ outcome })
      }
    },
  )
})

describe('the next attempt', () => {
  it('has no end yet', () => {
    const status = runningStatus({ retryTime: at(15), disruptedAttempts: 1 })
    const attempt = { number: 1, podUID: 'pod-1', outcome: 'Disrupted' } as const
    const { patch } = decided({
      job: aJob({ status: { ...status, attempt } }),
      place: { kind: 'Admitted' },
    })
    expect(patch.attempt).toMatchObject({ number: 2, outcome: null })
  })
})
