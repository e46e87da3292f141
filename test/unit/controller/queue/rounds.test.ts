import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ExplainRounds } from '../../../../src/controller/queue/explain-rounds.ts'
import { Pace } from '../../../../src/controller/queue/pace.ts'
import { isAppError } from '../../../../src/shared/errors.ts'
import type { ExplainedJob } from '../../../../src/shared/wire/queue.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const clock = { nowMs: () => Date.now() }

function explained(uid: string): ExplainedJob {
  return {
    uid,
    reason: 'WaitingForGpu',
    position: 1,
    aheadEstimate: 0,
    estimatedStartTime: null,
    estimatedEndTime: null,
    basis: 'Unknown',
  }
}

/** Explains every job whose name does not begin with x, in so much time. */
function openRounds({ costMs = 0, waitingMax = 8, patienceMs = Infinity } = {}) {
  const computed: string[][] = []
  const pace = new Pace({ clock, share: 4, waitingMax, patienceMs })
  const rounds = new ExplainRounds({
    clock,
    pace,
    explain: (uids) => {
      computed.push([...uids])
      vi.setSystemTime(Date.now() + costMs)
      const known = uids.filter((uid) => !uid.startsWith('x'))
      return new Map(known.map((uid) => [uid, explained(uid)]))
    },
  })
  return { pace, rounds, computed }
}

const uidsOf = (jobs: readonly ExplainedJob[]) => jobs.map(({ uid }) => uid)

describe('rounds of explanations', () => {
  it('answer a thousand who ask at once with one computation', async () => {
    const { rounds, computed } = openRounds()
    const asked = Array.from({ length: 1000 }, (_, index) => rounds.ask([`j${index % 10}`]))
    await vi.runAllTimersAsync()
    expect((await Promise.all(asked)).flatMap(uidsOf)).toHaveLength(1000)
    expect(computed).toEqual([Array.from({ length: 10 }, (_, index) => `j${index}`)])
  })

  it('repeat an answer for a second, also that there is none', async () => {
    const { rounds, computed } = openRounds()
    for (const waitMs of [0, 998, 1001]) {
      await vi.advanceTimersByTimeAsync(waitMs)
      const asked = rounds.ask(['a', 'x'])
      await vi.advanceTimersByTimeAsync(1)
      expect(uidsOf(await asked)).toEqual(['a'])
    }
    expect(computed).toEqual([
      ['a', 'x'],
      ['a', 'x'],
    ])
  })

  it('compute only what is missing, and answer in the order of the question', async () => {
    const { rounds, computed } = openRounds()
    const first = rounds.ask(['b'])
    await vi.advanceTimersByTimeAsync(1)
    await first
    const second = rounds.ask(['a', 'b', 'c'])
    await vi.advanceTimersByTimeAsync(1)
    expect(uidsOf(await second)).toEqual(['a', 'b', 'c'])
    expect(computed).toEqual([['b'], ['a', 'c']])
  })

  it('leave four times as much time for everything else', async () => {
    const { rounds, computed } = openRounds({ costMs: 100 })
    const first = rounds.ask(['a'])
    await vi.advanceTimersByTimeAsync(1)
    await first
    const second = rounds.ask(['b'])
    const third = rounds.ask(['c'])
    await vi.advanceTimersByTimeAsync(398)
    expect(computed).toEqual([['a']])
    await vi.advanceTimersByTimeAsync(2)
    expect(computed).toEqual([['a'], ['b', 'c']])
    expect(uidsOf([...(await second), ...(await third)])).toEqual(['b', 'c'])
  })

  it('refuse when too many jobs are asked about, and recover', async () => {
    const { rounds } = openRounds()
    const most = rounds.ask(Array.from({ length: 10_000 }, (_, index) => `j${index}`))
    await expect(rounds.ask(['one-more'])).rejects.toSatisfy(isUnavailable)
    await vi.runAllTimersAsync()
    expect(await most).toHaveLength(10_000)
    const next = rounds.ask(['one-more'])
    await vi.runAllTimersAsync()
    expect(uidsOf(await next)).toEqual(['one-more'])
  })

  it('explain so many jobs in one computation, and the others in the next', async () => {
    const { rounds, computed } = openRounds({ costMs: 10 })
    const uids = Array.from({ length: 1001 }, (_, index) => `j${index}`)
    const all = rounds.ask(uids)
    const last = rounds.ask(['j1000', 'j0'])
    await vi.runAllTimersAsync()
    expect(uidsOf(await all)).toEqual(uids)
    expect(uidsOf(await last)).toEqual(['j1000', 'j0'])
    expect(computed.map(({ length }) => length)).toEqual([500, 500, 1])
  })

  it('that were refused leave no jobs to the next', async () => {
    const { rounds, computed, pace } = openRounds({ waitingMax: 1 })
    const other = pace.do(() => 'other')
    const most = Array.from({ length: 10_000 }, (_, index) => `j${index}`)
    await expect(rounds.ask(most)).rejects.toSatisfy(isUnavailable)
    await vi.runAllTimersAsync()
    await other
    const again = rounds.ask(['a'])
    await vi.runAllTimersAsync()
    expect(uidsOf(await again)).toEqual(['a'])
    expect(computed).toEqual([['a']])
  })

  it('that were refused their turn do not keep the next from beginning', async () => {
    const { rounds, pace } = openRounds({ waitingMax: 1 })
    const other = pace.do(() => 'other')
    await expect(rounds.ask(['a'])).rejects.toSatisfy(isUnavailable)
    await vi.runAllTimersAsync()
    expect(await other).toBe('other')
    const again = rounds.ask(['a'])
    await vi.runAllTimersAsync()
    expect(uidsOf(await again)).toEqual(['a'])
  })
})

function isUnavailable(error: unknown): boolean {
  return isAppError(error, 'platform.unavailable')
}

describe('a pace', () => {
  it('goes on after a computation that fails, which it does not hide', async () => {
    const { pace } = openRounds()
    const cause = new Error('a bug')
    const failing = pace
      .do(() => {
        throw cause
      })
      .catch((error: unknown) => error)
    const next = pace.do(() => 7)
    await vi.runAllTimersAsync()
    expect(await failing).toMatchObject({ code: 'platform.internal', cause })
    expect(await next).toBe(7)
  })

  it('computes nothing for whoever has waited for so long that he has gone', async () => {
    const { pace } = openRounds({ patienceMs: 1000 })
    const computed: number[] = []
    const take = (costMs: number) => {
      const task = () => {
        computed.push(costMs)
        vi.setSystemTime(Date.now() + costMs)
      }
      return pace.do(task).catch((error: unknown) => error)
    }
    const slow = take(300)
    await vi.advanceTimersByTimeAsync(1)
    await slow
    const gone = [take(1), take(2)]
    await vi.advanceTimersByTimeAsync(500)
    const patient = take(3)
    await vi.advanceTimersByTimeAsync(900)
    expect(computed).toEqual([300, 3])
    for (const refused of await Promise.all(gone)) expect(refused).toSatisfy(isUnavailable)
    expect(await patient).toBeUndefined()
  })

  it('refuses what still waits with its end, and whatever comes later', async () => {
    const { pace } = openRounds()
    const waiting = pace.do(() => 1).catch((error: unknown) => error)
    pace.stop()
    expect(await waiting).toSatisfy(isUnavailable)
    await expect(pace.do(() => 1)).rejects.toSatisfy(isUnavailable)
    expect(vi.getTimerCount()).toBe(0)
  })
})
