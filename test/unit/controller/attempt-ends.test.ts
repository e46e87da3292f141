import { describe, expect, it } from 'vitest'
import type { AttemptEnd, GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import {
  aJob,
  anAttempt,
  anEndedPod,
  aPod,
  at,
  output,
  reported,
  runningStatus,
  unreachable,
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
    const vanished = { attempts: [], confirmedGone: true, report: reported('nothing') }
    expect(endOf({ job: late, ...vanished })).toBe('Disrupted')
  })

  it('as Failed where the job’s own limits stopped it', () => {
    const late = aJob({ status: runningStatus(), spec: { activeDeadlineSeconds: 1 } })
    const stopped = { attempts: [anAttempt(anEndedPod(10))], report: reported('Cancelled') }
    const killed = { attempts: [anAttempt(anEndedPod(137))], report: reported('nothing') }
    for (const end of [stopped, killed]) expect(endOf({ job: late, ...end })).toBe('Failed')
    const often = aJob({ status: runningStatus({ disruptedAttempts: 10 }) })
    expect(endOf({ job: often, ...killed })).toBe('Failed')
  })

  it('as Completed also where it was to be suspended', () => {
    const job = aJob({ status: runningStatus(), spec: { suspend: true } })
    const report = reported('Completed', [output])
    const { patch } = decided({ job, attempts: [anAttempt(anEndedPod(0))], report })
    expect(patch).toMatchObject({ attempt: { outcome: 'Completed' }, outputs: [output] })
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

  it.each([
    ['Failed', [output], '1/4'],
    ['Disrupted', undefined, '0/4'],
    ['Suspended', undefined, '0/4'],
  ] as const)(
    'keeps its end %s when the cancel comes in the pause',
    (outcome, outputs, summary) => {
      const attempt = { number: 1, podUID: 'pod-1', outcome }
      const paused = pausedJob(attempt, { cancel: true })
      const report = reported('Failed', [output])
      for (const attempts of [[], [anAttempt(aPod({ phase: 'Failed' }))]]) {
        const { patch, conditions } = decided({ job: paused, attempts, report })
        expect(conditions['Succeeded']).toBe('False/Cancelled')
        expect({ ...attempt, ...patch.attempt }).toMatchObject({ outcome })
        expect([patch.outputs, patch.summary]).toEqual([outputs, summary])
      }
    },
  )
})

function pausedJob(attempt: NonNullable<GenerationJobStatus['attempt']>, spec = {}) {
  const status = runningStatus({ retryTime: at(90), attempt })
  return aJob({ status, spec: { parameters: { prompt: 'x', batchCount: 4 }, ...spec } })
}

describe('an attempt that failed', () => {
  it('is waited for until its report is known when the job ends in the pause after it', () => {
    const attempt = { number: 1, outcome: 'Failed' } as const
    const silent = { report: unreachable, after: 30 }
    const ending = decided({ job: pausedJob(attempt, { cancel: true }), ...silent })
    expect([ending.kinds, ending.recheckAfterMs]).toEqual([[], 2000])
    const goingOn = decided({ job: pausedJob(attempt), ...silent })
    expect(goingOn.conditions['Succeeded']).toBe('Unknown/Running')
  })
})

describe('what the last attempt stored', () => {
  const two = [output, { ...output, name: 'image-1.png', key: 'jobs/x/image-1.png' }]

  it.each([
    ['is lost with its Node', lost, { kept: undefined, summary: '0/4' }],
    ['is kept after the deadline', anEndedPod(10), { kept: two, summary: '2/4' }],
  ])('%s', (_, pod, { kept, summary }) => {
    const spec = { activeDeadlineSeconds: 1, parameters: { prompt: 'x', batchCount: 4 } }
    const job = aJob({ status: runningStatus(), spec })
    const report = reported('Cancelled', two)
    const { patch } = decided({ job, attempts: [anAttempt(pod)], report })
    expect([patch.outputs, patch.summary]).toEqual([kept, summary])
  })

  it('is nothing where it was suspended and then cancelled', () => {
    const job = aJob({ status: runningStatus(), spec: { suspend: true, cancel: true } })
    const attempts = [anAttempt(anEndedPod(10))]
    const { patch } = decided({ job, attempts, report: reported('Cancelled', [output]) })
    expect([patch.outputs, patch.summary]).toEqual([undefined, '0/1'])
  })
})

describe('the next attempt', () => {
  it('has no end yet', () => {
    const status = runningStatus({ retryTime: at(15), disruptedAttempts: 1 })
    const attempt = { number: 1, podUID: 'pod-1', outcome: 'Disrupted' } as const
    const { patch } = decided({
      job: aJob({ status: { ...status, attempt } }),
      place: { kind: 'Node' },
    })
    expect(patch.attempt).toMatchObject({ number: 2, outcome: null })
  })
})
