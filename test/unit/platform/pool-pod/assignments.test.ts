import { describe, expect, test } from 'vitest'
import { Assignments, type PodFacts } from '../../../../src/platform/pool-pod/assignments.ts'
import { isAppError } from '../../../../src/shared/errors.ts'
import type { Assignment } from '../../../../src/shared/wire/pool.ts'

const uid = 'a0000000-0000-4000-8000-000000000001'
const runner = 'runner-of-this-process'
const pod: PodFacts = { runner, draining: false, models: ['demo', 'other'], hasFreeSlot: true }

function open(rememberedMax = 10): Assignments {
  return new Assignments({ rememberedMax })
}

function attempt(number: number, change: Partial<Assignment> = {}): Assignment {
  return { attempt: number, jobId: '0'.repeat(26), runner, model: 'demo', ...change }
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (isAppError(error)) return error.code
    throw error
  }
  return 'none'
}

/** Takes an attempt that must be new; its signal says whether it was cancelled. */
function start(table: Assignments, number: number, job = uid): AbortSignal {
  const taken = table.take(job, attempt(number), pod)
  if (taken.kind !== 'New') throw new Error('the attempt was known')
  return taken.stop
}

describe('assignments', () => {
  test('take an attempt once, however often it is given', () => {
    const table = open()
    start(table, 1)
    const running = { kind: 'Known', assigned: { attempt: 1, state: 'Running' } }
    expect(table.take(uid, attempt(1), pod)).toEqual(running)
    table.end({ uid, attempt: 1 }, 'Completed')
    const ended = { attempt: 1, state: 'Ended', reason: 'Completed' }
    expect(table.take(uid, attempt(1), pod)).toEqual({ kind: 'Known', assigned: ended })
    expect(table.get({ uid, attempt: 1 })).toEqual(ended)
  })

  test('say what is known also while the pod drains and when every slot is busy', () => {
    const table = open()
    start(table, 1)
    const full = { ...pod, draining: true, hasFreeSlot: false }
    expect(table.take(uid, attempt(1), full).kind).toBe('Known')
  })

  test.each([
    ['pool.runner_changed', { runner: 'runner-of-an-earlier-one' }, {}],
    ['request.invalid', { model: 'unknown' }, {}],
    ['pool.draining', {}, { draining: true }],
    ['pool.busy', {}, { hasFreeSlot: false }],
  ])('are refused with %s', (code, change, facts) => {
    const table = open()
    expect(codeOf(() => table.take(uid, attempt(1, change), { ...pod, ...facts }))).toBe(code)
    expect(table.running).toBe(0)
    expect(codeOf(() => table.get({ uid, attempt: 1 }))).toBe('job.not_found')
  })

  test('are refused for another runner even when the attempt is known', () => {
    const table = open()
    start(table, 1)
    const changed = attempt(1, { runner: 'runner-of-an-earlier-one' })
    expect(codeOf(() => table.take(uid, changed, pod))).toBe('pool.runner_changed')
  })

  test('refuse an older attempt, whether the newer one runs or is over', () => {
    const table = open()
    start(table, 3)
    expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.attempt_outdated')
    table.end({ uid, attempt: 3 }, 'Failed')
    expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.attempt_outdated')
  })

  test('cancel an older attempt that still runs, and take the newer one when it is over', () => {
    const table = open()
    const stop = start(table, 1)
    expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.busy')
    expect(stop.aborted).toBe(true)
    expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.busy')
    table.end({ uid, attempt: 1 }, 'Cancelled')
    expect(start(table, 2).aborted).toBe(false)
    expect(codeOf(() => table.get({ uid, attempt: 1 }))).toBe('job.not_found')
  })

  test('tell whoever waits that an attempt is over', () => {
    const table = open()
    start(table, 1)
    const over = table.over({ uid, attempt: 1 })
    expect(over.aborted).toBe(false)
    table.end({ uid, attempt: 1 }, 'Completed')
    expect(over.aborted).toBe(true)
    expect(table.over({ uid, attempt: 1 }).aborted).toBe(true)
    expect(codeOf(() => table.over({ uid, attempt: 2 }))).toBe('job.not_found')
  })

  test('end only what runs, and only once', () => {
    const table = open()
    start(table, 2)
    table.end({ uid, attempt: 1 }, 'Failed')
    expect(table.get({ uid, attempt: 2 }).state).toBe('Running')
    table.end({ uid, attempt: 2 }, 'Completed')
    table.end({ uid, attempt: 2 }, 'Failed')
    expect(table.get({ uid, attempt: 2 }).reason).toBe('Completed')
  })

  describe('that are dropped', () => {
    test('are cancelled while they run, and stay until they are dropped once more', () => {
      const table = open()
      const stop = start(table, 1)
      table.drop({ uid, attempt: 1 })
      expect(stop.aborted).toBe(true)
      expect(table.get({ uid, attempt: 1 })).toEqual({ attempt: 1, state: 'Running' })
      table.end({ uid, attempt: 1 }, 'Cancelled')
      expect(table.get({ uid, attempt: 1 }).reason).toBe('Cancelled')
      table.drop({ uid, attempt: 1 })
      expect(codeOf(() => table.get({ uid, attempt: 1 }))).toBe('job.not_found')
    })

    test('do not come back with a late request', () => {
      const table = open()
      start(table, 1)
      table.end({ uid, attempt: 1 }, 'Completed')
      table.drop({ uid, attempt: 1 })
      expect(codeOf(() => table.take(uid, attempt(1), pod))).toBe('pool.attempt_outdated')
      start(table, 2)
    })

    test('do not begin when they are given after that', () => {
      const table = open()
      table.drop({ uid, attempt: 2 })
      table.drop({ uid, attempt: 1 })
      expect(codeOf(() => table.take(uid, attempt(1), pod))).toBe('pool.attempt_outdated')
      expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.attempt_outdated')
      start(table, 3)
    })

    test('stay out when they were dropped while an older attempt ran', () => {
      const table = open()
      const stop = start(table, 1)
      table.drop({ uid, attempt: 2 })
      expect(stop.aborted).toBe(true)
      table.end({ uid, attempt: 1 }, 'Cancelled')
      expect(codeOf(() => table.take(uid, attempt(2), pod))).toBe('pool.attempt_outdated')
      start(table, 3)
    })

    test('leave a newer attempt alone', () => {
      const table = open()
      const stop = start(table, 2)
      table.drop({ uid, attempt: 1 })
      expect(stop.aborted).toBe(false)
      table.end({ uid, attempt: 2 }, 'Completed')
      table.drop({ uid, attempt: 1 })
      expect(table.get({ uid, attempt: 2 }).state).toBe('Ended')
    })
  })

  test('remember so many that ended, the latest ones, and all that run', () => {
    const table = open(2)
    start(table, 1, 'runs')
    for (const job of ['first', 'second', 'third']) {
      start(table, 1, job)
      table.end({ uid: job, attempt: 1 }, 'Completed')
    }
    expect(codeOf(() => table.get({ uid: 'first', attempt: 1 }))).toBe('job.not_found')
    expect(table.get({ uid: 'second', attempt: 1 }).state).toBe('Ended')
    expect(table.get({ uid: 'third', attempt: 1 }).state).toBe('Ended')
    expect(table.get({ uid: 'runs', attempt: 1 }).state).toBe('Running')
    expect(table.running).toBe(1)
  })

  test('are cancelled together', () => {
    const table = open()
    const stops = [start(table, 1, 'one'), start(table, 1, 'two')]
    table.cancelAll()
    expect(stops.map(({ aborted }) => aborted)).toEqual([true, true])
    expect(table.running).toBe(2)
  })
})
