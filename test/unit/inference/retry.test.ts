import { describe, expect, test } from 'vitest'
import { InternalApiError } from '../../../src/inference/pod/internal-api-error.ts'
import { retry } from '../../../src/inference/pod/retry.ts'
import type { ErrorCode } from '../../../src/shared/errors.ts'

function answer(status: number, code?: ErrorCode): InternalApiError {
  return new InternalApiError({ status, code, detail: '' })
}

/** Each reading of the clock is `stepMs` later, so that time passes without waiting. */
function options(change: { stepMs?: number; signal?: AbortSignal } = {}) {
  let nowMs = 0
  return {
    clock: { nowMs: () => (nowMs += change.stepMs ?? 1) },
    random: () => 0,
    forMs: 60_000,
    signal: change.signal ?? new AbortController().signal,
  }
}

async function failing(errors: readonly unknown[], change = {}) {
  let calls = 0
  const call = async () => {
    const error = errors[calls++]
    if (error !== undefined) throw error
    return 'done'
  }
  const result = await retry(call, options(change)).catch((error: unknown) => error)
  return { calls, result }
}

describe('retry', () => {
  test.each([
    ['nobody answers', new TypeError('fetch failed')],
    ['the answer is late', new DOMException('late', 'TimeoutError')],
    ['the api is down', answer(503)],
    ['too much was asked', answer(429)],
    ['the pod is not yet known', answer(409, 'attempt.not_current')],
  ])('asks again when %s', async (_, error) => {
    expect(await failing([error])).toEqual({ calls: 2, result: 'done' })
  })

  test.each([
    ['the token is wrong', answer(401)],
    ['the job has ended', answer(409, 'job.ended')],
    ['there is a bug', new RangeError('bug')],
  ])('gives up at once when %s', async (_, error) => {
    expect(await failing([error])).toEqual({ calls: 1, result: error })
  })

  test('gives up when the time is over', async () => {
    const errors = Array.from({ length: 10 }, () => answer(503))
    const { calls, result } = await failing(errors, { stepMs: 25_000 })
    expect(calls).toBe(3)
    expect(result).toBe(errors[2])
  })

  test('does not call after an abort', async () => {
    const { calls, result } = await failing([], { signal: AbortSignal.abort() })
    expect(calls).toBe(0)
    expect(result).toMatchObject({ name: 'AbortError' })
  })
})
