import { describe, expect, it } from 'vitest'
import { comingSlots } from '../../../../src/controller/queue/coming-slots.ts'
import {
  explainOutside,
  type OutsideQueue,
} from '../../../../src/controller/queue/outside-queue.ts'
import { addRun, addStart, noRunTimes } from '../../../../src/shared/domain/admission/run-times.ts'
import type { GenerationJobStatus } from '../../../../src/shared/crd/generation-job.ts'
import {
  aCondition,
  aJob,
  anAttempt,
  anAttemptWithoutPod,
  aPod,
  at,
  createdMs,
} from '../builders.ts'

const node = { model: 'demo', kind: 'Node' } as const
const slot = { model: 'demo', kind: 'Slot' } as const
const times = addRun(
  addRun(addStart(noRunTimes, { ...node, seconds: 20 }), { ...node, work: 10, seconds: 60 }),
  { ...slot, work: 10, seconds: 5 },
)
const admitted = aCondition('Admitted', 'True/Admitted')
const starting = aCondition('PodsReady', 'False/Starting')
const attempt = anAttempt(aPod({ phase: 'Pending' }))

function explain(status: GenerationJobStatus, over: Partial<OutsideQueue> = {}) {
  const job = aJob({ status })
  return explainOutside({ job, attempts: [], work: 10, times, nowMs: createdMs + 5000, ...over })
}

const live = { conditions: [admitted, starting], attempt: { number: 1 } }
const pooled = { number: 1, pool: 'warm', podName: 'p', podUID: 'u', runner: 'r' }
const nobody = { position: null, aheadEstimate: null }

describe('a job that is not in the queue', () => {
  it('and has its pod on the way starts after the usual time', () => {
    expect(explain(live, { attempts: [attempt] })).toMatchObject({
      ...nobody,
      reason: 'Starting',
      estimatedStartTime: new Date(createdMs + 20_000).toISOString(),
      estimatedEndTime: new Date(createdMs + 80_000).toISOString(),
      basis: 'Planned',
    })
  })

  it('and has a slot starts now', () => {
    expect(explain({ ...live, attempt: pooled })).toMatchObject({
      reason: 'Starting',
      estimatedStartTime: new Date(createdMs + 5000).toISOString(),
      estimatedEndTime: new Date(createdMs + 10_000).toISOString(),
    })
  })

  it('starts at a time that nobody knows where no start was measured', () => {
    const found = explain(live, { attempts: [attempt], times: noRunTimes })
    expect(found).toMatchObject({ reason: 'Starting', estimatedStartTime: null, basis: 'Unknown' })
  })

  it.each([
    [29_999, 'Starting'],
    [30_000, 'WaitingForQuota'],
  ])('and has a Job without a pod for %d ms is %s', (ageMs, reason) => {
    const refused = anAttemptWithoutPod()
    const nowMs = Date.parse(refused.job?.createdTime ?? '') + ageMs
    expect(explain(live, { attempts: [refused], nowMs })?.reason).toBe(reason)
  })

  it('and had an attempt that failed backs off', () => {
    const status = { ...live, retryTime: at(60) }
    expect(explain(status)).toMatchObject({ ...nobody, reason: 'BackingOff' })
    expect(explain(status, { nowMs: createdMs + 60_000 })).toBeUndefined()
  })

  it.each([
    ['runs', { ...live, conditions: [admitted, aCondition('PodsReady', 'True/Running')] }],
    ['has ended', { ...live, conditions: [aCondition('Succeeded', 'True/Completed')] }],
  ])('and %s waits for nothing', (_, status) => {
    expect(explain(status, { attempts: [attempt] })).toBeUndefined()
  })

  it('and has no attempt is not known here', () => {
    expect(explain({})).toBeUndefined()
  })
})

describe('slots that are coming', () => {
  const metadata = { name: 'warm', namespace: 'vision', creationTimestamp: at(0) }
  const nowMs = createdMs + 10_000

  function coming(pod: object, startupSeconds?: number) {
    const pool = { metadata, spec: { models: [{ name: 'demo' }, { name: 'style' }], slots: 2 } }
    const view = { uid: 'pod-1', createdMs, ready: false, deleting: false, terminal: false }
    const sources = {
      caches: {
        modelPools: { list: () => [pool] },
        models: { get: (name: string) => ({ spec: { type: name === 'demo' ? 'Base' : 'Lora' } }) },
      },
      pools: {
        podsOf: () => [{ ...view, leaving: false, ...pod }],
        measuredStartupSecondsOf: () => startupSeconds,
      },
      nowMs,
    }
    // Of pools, models and pods only what is read is made up here.
    return comingSlots(sources as unknown as Parameters<typeof comingSlots>[0])
  }

  const at20 = { pool: 'vision/warm', pod: 'pod-1', model: 'demo', atMs: nowMs + 20_000 }

  it('come with the base models, one per slot, when such pods usually are ready', () => {
    expect(coming({}, 30)).toEqual([at20, at20])
  })

  it('come a tenth later than they have taken already, when they are late', () => {
    expect(coming({ createdMs: nowMs - 100_000 }, 30)[0]?.atMs).toBe(nowMs + 10_000)
  })

  it.each([
    ['is ready', { ready: true }],
    ['ends', { deleting: true }],
    ['has ended', { terminal: true }],
    ['is to go', { leaving: true }],
    ['finds no room', { waiting: { reason: 'Unschedulable', message: '' } }],
  ])('do not come from a pod that %s', (_, pod) => {
    expect(coming(pod, 30)).toEqual([])
  })

  it('are not counted on while no pod of the pool has ever been ready', () => {
    expect(coming({})).toEqual([])
  })
})
