import { describe, expect, it } from 'vitest'
import { invalidPatch } from '../../../src/controller/generation-job/invalid.ts'
import { KubeError } from '../../../src/platform/kube/errors.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { aCondition, aJob, at, createdMs, runningStatus } from './builders.ts'

const nowMs = createdMs + 5000
const bug = new TypeError('Cannot read properties of undefined')

function answerOf(status: number): KubeError {
  return new KubeError({ status, reason: 'x', message: `answer ${status}` })
}

describe('a fault that lasts', () => {
  it.each([bug, new AppError('platform.misconfigured', 'taken'), answerOf(403), answerOf(422)])(
    'is said in the condition Admitted: %s',
    (error) => {
      const job = aJob({ status: { conditions: [aCondition('Admitted', 'False/Queued')] } })
      expect(invalidPatch(job, { error, nowMs })).toEqual({
        conditions: [
          {
            type: 'Admitted',
            status: 'False',
            reason: 'Invalid',
            message: expect.stringContaining(error.message),
            observedGeneration: 1,
            lastTransitionTime: at(0),
          },
        ],
      })
    },
  )

  it('is said of a job of which nothing was said yet, and beside what was said', () => {
    expect(invalidPatch(aJob(), { error: bug, nowMs })).toMatchObject({
      conditions: [{ reason: 'Invalid', lastTransitionTime: at(5) }],
    })
    const job = aJob({ status: { conditions: [aCondition('ModelReady', 'True/Ready')] } })
    expect(invalidPatch(job, { error: bug, nowMs })).toMatchObject({
      conditions: [{ type: 'ModelReady' }, { reason: 'Invalid' }],
    })
  })

  it('is said once', () => {
    const first = invalidPatch(aJob(), { error: bug, nowMs })
    const job = aJob({ status: { ...first } })
    expect(invalidPatch(job, { error: bug, nowMs: nowMs + 1000 })).toBeUndefined()
  })

  it('is cut to what a message may hold', () => {
    const error = new Error('x'.repeat(5000))
    expect(JSON.stringify(invalidPatch(aJob(), { error, nowMs })).length).toBeLessThan(1300)
  })
})

describe('nothing is said', () => {
  it.each([0, 401, 404, 409, 410, 429, 500, 503, 504])('of an answer with status %i', (status) => {
    expect(invalidPatch(aJob(), { error: answerOf(status), nowMs })).toBeUndefined()
  })

  it('of a process that may not write', () => {
    const error = new AppError('platform.unavailable', 'not the leader')
    expect(invalidPatch(aJob(), { error, nowMs })).toBeUndefined()
  })

  it.each(['True/Completed', 'False/Cancelled'])('of a job that ended %s', (is) => {
    const job = aJob({ status: { conditions: [aCondition('Succeeded', is)] } })
    expect(invalidPatch(job, { error: bug, nowMs })).toBeUndefined()
  })

  it('where it would hide that the job runs, or that it was suspended', () => {
    const suspended = { conditions: [aCondition('Admitted', 'False/Suspended')] }
    for (const status of [runningStatus(), suspended]) {
      expect(invalidPatch(aJob({ status }), { error: bug, nowMs })).toBeUndefined()
    }
  })
})
