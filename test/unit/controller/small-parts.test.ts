import { describe, expect, it } from 'vitest'
import { decideDepartment } from '../../../src/controller/department/decide.ts'
import { HoldMemory } from '../../../src/controller/generation-job/hold-memory.ts'
import { retryDelayMs } from '../../../src/controller/generation-job/times.ts'
import { UNSEEN_MAX_MS } from '../../../src/controller/limits.ts'
import { WrittenVersions } from '../../../src/controller/written-versions.ts'
import { decideModel } from '../../../src/controller/model/decide.ts'
import type { Department } from '../../../src/shared/crd/department.ts'
import { aJob, aModel, at, createdMs, packSettings, unreachable } from './builders.ts'

function version(resourceVersion: string, uid = 'a') {
  const job = aJob()
  return { ...job, metadata: { ...job.metadata, resourceVersion, uid } }
}

function namespace(labels: Record<string, string>, deletionTimestamp?: string) {
  const metadata = { name: 'vision', uid: 'n', resourceVersion: '1', creationTimestamp: at(0) }
  const deletion = deletionTimestamp === undefined ? {} : { deletionTimestamp }
  return { metadata: { ...metadata, labels, ...deletion } }
}

describe('the pause after a failure', () => {
  it.each([
    [1, 10_000],
    [2, 20_000],
    [3, 40_000],
    [6, 320_000],
    [7, 360_000],
    [1000, 360_000],
  ])('number %i is %i ms', (failures, delayMs) => {
    expect(retryDelayMs(failures, 10_000)).toBe(delayMs)
  })
})

describe('the memory of holds', () => {
  const job = { key: 'vision/job', uid: 'a' }
  const waiting = {
    kind: 'Answered',
    value: { state: 'Waiting', reason: 'HoldLimit', message: '', microCredits: 0 },
  } as const
  const held = { kind: 'Answered', value: { ...waiting.value, state: 'Held' } } as const

  it('asks again after 5 s, then less often, and every 15 s at least', () => {
    const holds = new HoldMemory()
    const pauses: number[] = []
    let nowMs = 0
    for (let count = 0; count < 4; count += 1) {
      const { askAgainMs } = holds.remember(job, waiting, nowMs)
      pauses.push(askAgainMs - nowMs)
      expect(holds.recall(job, askAgainMs - 1)).toBeDefined()
      expect(holds.recall(job, askAgainMs)).toBeUndefined()
      nowMs = askAgainMs
    }
    expect(pauses).toEqual([5000, 10_000, 15_000, 15_000])
  })

  it.each([
    [1500, 30_000],
    [10_000, 60_000],
  ])('asks for each of %i jobs that wait every %i ms in the end', (jobs, maxMs) => {
    const holds = new HoldMemory()
    for (let index = 0; index < jobs; index += 1) {
      holds.remember({ key: `vision/job-${index}`, uid: 'a' }, waiting, 0)
    }
    const pauses = [1, 2, 3, 4].map(() => {
      const key = { key: 'vision/job-0', uid: 'a' }
      return holds.remember(key, waiting, 0).askAgainMs
    })
    expect(pauses).toEqual([10_000, 20_000, Math.min(40_000, maxMs), maxMs])
  })

  it('asks no less often for one that waits because others are held, ended or gone', () => {
    const holds = new HoldMemory()
    const ended = { kind: 'Answered', value: { ...waiting.value, state: 'Ended' } } as const
    for (let index = 0; index < 3000; index += 1) {
      const other = { key: `vision/job-${index}`, uid: 'a' }
      holds.remember(other, waiting, 0)
      if (index % 3 === 0) holds.forget(other.key)
      else holds.remember(other, index % 3 === 1 ? held : ended, 0)
    }
    const pauses = [1, 2, 3, 4].map(() => holds.remember(job, waiting, 0).askAgainMs)
    expect(pauses).toEqual([5000, 10_000, 15_000, 15_000])
  })

  it('asks a silent api sooner', () => {
    const holds = new HoldMemory()
    expect(holds.remember(job, unreachable, 0).askAgainMs).toBe(1000)
    expect(holds.remember(job, unreachable, 0).askAgainMs).toBe(2000)
    expect(holds.remember(job, waiting, 0).askAgainMs).toBe(5000)
  })

  it('does not mistake a later job of the same name for it', () => {
    const holds = new HoldMemory()
    holds.remember(job, held, 0)
    expect(holds.recall(job, 0)?.answer).toEqual(held)
    expect(holds.recall({ ...job, uid: 'b' }, 0)).toBeUndefined()
    holds.forget(job.key)
    expect(holds.recall(job, 0)).toBeUndefined()
  })

  it('keeps a place in the queue for a job until the api has said no', () => {
    const holds = new HoldMemory()
    expect(holds.mayBeHeld(job)).toBe(true)
    holds.remember(job, waiting, 0)
    expect(holds.mayBeHeld(job)).toBe(false)
    expect(holds.mayBeHeld({ ...job, uid: 'b' })).toBe(true)
    holds.remember(job, unreachable, 0)
    expect(holds.mayBeHeld(job)).toBe(false)
    holds.remember(job, held, 0)
    expect(holds.mayBeHeld(job)).toBe(true)
  })
})

describe('written versions', () => {
  it('tell a cache that is behind from one that has caught up', () => {
    const written = new WrittenVersions({ nowMs: () => 0 })
    expect(written.isBehind('k', version('9'))).toBe(false)
    written.note('k', version('10'))
    expect(written.isBehind('k', version('9'))).toBe(true)
    expect(written.isBehind('k', version('10'))).toBe(false)
    expect(written.isBehind('k', version('11'))).toBe(false)
    expect(written.isBehind('k', version('9', 'b'))).toBe(false)
  })

  it('believe a cache in the end that shows none of them: the API server was set back', () => {
    let nowMs = 0
    const written = new WrittenVersions({ nowMs: () => nowMs })
    written.note('k', version('10'))
    nowMs = UNSEEN_MAX_MS - 1
    expect(written.isBehind('k', version('9'))).toBe(true)
    nowMs = UNSEEN_MAX_MS
    expect(written.isBehind('k', version('9'))).toBe(false)
  })

  it('compare beyond what a double can hold', () => {
    const written = new WrittenVersions({ nowMs: () => 0 })
    written.note('k', version('9007199254740993'))
    expect(written.isBehind('k', version('9007199254740992'))).toBe(true)
  })
})

describe('a Model', () => {
  it('that is ready already needs no write', () => {
    const fresh = { ...aModel(), status: undefined }
    const patch = decideModel(fresh, { packs: packSettings, nowMs: createdMs })
    expect(patch).toMatchObject({ conditions: [{ type: 'Ready', status: 'True' }] })
    const after = { ...fresh, status: { ...patch } }
    const later = { packs: packSettings, nowMs: createdMs + 5000 }
    expect(decideModel(after, later)).toBeUndefined()
  })

  it.each([
    [{ type: 'Embedded' as const }, 'InvalidDelivery'],
    [{ type: 'Claim' as const }, 'InvalidDelivery'],
    [{ type: 'Image' as const }, 'InvalidDelivery'],
    [{ type: 'Fetch' as const }, 'InvalidDelivery'],
    [{ type: 'Fetch' as const, fetch: { url: 'https://models.example' } }, 'InvalidDelivery'],
  ])('with delivery %o is not ready: %s', (delivery, reason) => {
    const model = aModel({ delivery })
    expect(decideModel(model, { packs: packSettings, nowMs: createdMs })).toMatchObject({
      conditions: [{ status: 'False', reason }],
    })
  })
})

describe('a Department', () => {
  const department: Department = {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'Department',
    metadata: {
      name: 'vision',
      uid: 'd',
      resourceVersion: '1',
      generation: 1,
      creationTimestamp: at(0),
    },
    spec: { weight: 100, namespace: 'vision', managedBy: 'api' },
  }

  it.each([
    [undefined, 'NamespaceMissing'],
    [namespace({}, at(5)), 'NamespaceMissing'],
    [namespace({ 'atelier.dev/department': 'assembly' }), 'NamespaceForeign'],
    [namespace({ 'atelier.dev/department': 'vision' }), 'Ready'],
    [namespace({}), 'Ready'],
  ])('(%#) is %s', (found, reason) => {
    const patch = decideDepartment({ department, namespace: found, nowMs: createdMs })
    expect(patch).toMatchObject({ observedGeneration: 1, conditions: [{ reason }] })
  })
})
