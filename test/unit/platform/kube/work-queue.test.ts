import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KubeError } from '../../../../src/platform/kube/errors.ts'
import {
  type Outcome,
  startWorkQueue,
  type WorkQueueOptions,
} from '../../../../src/platform/kube/work-queue.ts'

type Reconcile = WorkQueueOptions['reconcile']

const done: Outcome = { kind: 'Done' }

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

function start(options: Partial<WorkQueueOptions> = {}) {
  const errors: unknown[] = []
  const queue = startWorkQueue({
    reconcile: async () => done,
    concurrency: 2,
    clock: { nowMs: () => Date.now() },
    random: () => 0,
    onError: (error, key) => errors.push({ error, key }),
    ...options,
  })
  return { queue, errors }
}

/** A reconcile whose runs end when the test says so. */
function manual() {
  const started: string[] = []
  const open = new Map<string, () => void>()
  return {
    started,
    reconcile: async (key: string) => {
      started.push(key)
      await new Promise<void>((resolve) => open.set(key, resolve))
      return done
    },
    finish: async (key: string) => {
      open.get(key)?.()
      await vi.advanceTimersByTimeAsync(0)
    },
  }
}

async function slow() {
  await new Promise((resolve) => setTimeout(resolve, 30))
  return done
}

async function settle() {
  await vi.advanceTimersByTimeAsync(0)
}

describe('a work queue', () => {
  it('never runs a reconcile inside add', () => {
    const reconcile = vi.fn<Reconcile>(async () => done)
    start({ reconcile }).queue.add('a')
    expect(reconcile).not.toHaveBeenCalled()
  })

  it('makes one run of many asks', async () => {
    const reconcile = vi.fn<Reconcile>(async () => done)
    const { queue } = start({ reconcile, concurrency: 1 })
    queue.add('first')
    for (let time = 0; time < 10; time += 1) queue.add('a')
    expect(queue.depth()).toBe(1)
    await settle()
    expect(reconcile.mock.calls).toEqual([['first'], ['a']])
  })

  it('runs a key once more when it is asked for during its run, never twice at once', async () => {
    const { started, reconcile, finish } = manual()
    const { queue } = start({ reconcile })
    queue.add('a')
    await settle()
    queue.add('a')
    queue.add('a')
    await settle()
    expect(started).toEqual(['a'])
    await finish('a')
    expect(started).toEqual(['a', 'a'])
    await finish('a')
    expect(started).toEqual(['a', 'a'])
  })

  it('runs no more keys at once than its concurrency, in the order of asking', async () => {
    const { started, reconcile, finish } = manual()
    const { queue } = start({ reconcile, concurrency: 2 })
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key)
    await settle()
    expect(started).toEqual(['a', 'b'])
    expect(queue.depth()).toBe(2)
    await finish('b')
    expect(started).toEqual(['a', 'b', 'c'])
  })

  it('passes over a key that runs, so that the others move', async () => {
    const { started, reconcile } = manual()
    const { queue } = start({ reconcile, concurrency: 2 })
    queue.add('slow')
    await settle()
    queue.add('slow')
    queue.add('b')
    await settle()
    expect(started).toEqual(['slow', 'b'])
  })

  it('looks again when the outcome says so', async () => {
    const outcomes: Outcome[] = [{ kind: 'RecheckAfter', ms: 1_000 }, done]
    const reconcile = vi.fn<Reconcile>(async () => outcomes.shift() ?? done)
    const { queue } = start({ reconcile })
    queue.add('a')
    await vi.advanceTimersByTimeAsync(999)
    expect(reconcile).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(reconcile).toHaveBeenCalledTimes(2)
  })

  it('keeps the earliest of several delays', async () => {
    const reconcile = vi.fn<Reconcile>(async () => done)
    const { queue } = start({ reconcile })
    queue.addAfter('a', 5_000)
    queue.addAfter('a', 100)
    queue.addAfter('a', 9_000)
    await vi.advanceTimersByTimeAsync(100)
    expect(reconcile).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(reconcile).toHaveBeenCalledTimes(1)
  })

  it('does not take a delay that no timer can hold for one that has passed', async () => {
    // Fake timers hold any delay; real ones fire at once beyond 2³¹ ms.
    vi.useRealTimers()
    const reconcile = vi.fn<Reconcile>(async () => done)
    const { queue } = start({ reconcile })
    queue.addAfter('year', 365 * 86_400_000)
    queue.addAfter('past', -5)
    await vi.waitFor(() => expect(reconcile).toHaveBeenCalled())
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(reconcile.mock.calls).toEqual([['past']])
    await queue.stop()
  })

  it('tries a failed key again, twice as late each time, while others go on', async () => {
    const runs: number[] = []
    const reconcile = async (key: string) => {
      if (key !== 'poison') return done
      runs.push(Date.now())
      throw new Error('fault')
    }
    const { queue, errors } = start({ reconcile })
    queue.add('poison')
    queue.add('good')
    await vi.advanceTimersByTimeAsync(200)
    const pauses = runs.slice(1).map((at, index) => at - runs[index]!)
    expect(pauses).toEqual([5, 10, 20, 40, 80])
    expect(errors).toHaveLength(runs.length)
    expect(errors[0]).toMatchObject({ key: 'poison', error: { message: 'fault' } })
    await queue.stop()
  })

  it('never waits longer than 1,000 s for a failed key', async () => {
    const reconcile = vi.fn<Reconcile>(async () => {
      throw new Error('fault')
    })
    const { queue } = start({ reconcile })
    queue.add('a')
    await vi.advanceTimersByTimeAsync(10_000_000)
    const before = reconcile.mock.calls.length
    await vi.advanceTimersByTimeAsync(1_000_000)
    expect(reconcile.mock.calls.length).toBeGreaterThan(before)
    await queue.stop()
  })

  it('forgets the failures of a key that succeeds', async () => {
    const outcomes = ['fail', 'fail', 'fail', 'succeed', 'fail', 'end']
    const runs: number[] = []
    const reconcile = async () => {
      runs.push(Date.now())
      if (outcomes.shift() === 'fail') throw new Error('fault')
      return done
    }
    const { queue } = start({ reconcile })
    queue.add('a')
    await vi.advanceTimersByTimeAsync(1_000)
    queue.add('a')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(runs).toHaveLength(6)
    expect(runs[5]! - runs[4]!).toBe(5)
  })

  it('runs a failed key at once when something about it changes', async () => {
    let broken = true
    const reconcile = vi.fn<Reconcile>(async () => {
      if (broken) throw new Error('fault')
      return done
    })
    const { queue } = start({ reconcile })
    queue.add('a')
    await vi.advanceTimersByTimeAsync(100_000)
    const before = reconcile.mock.calls.length
    broken = false
    queue.add('a')
    await settle()
    expect(reconcile).toHaveBeenCalledTimes(before + 1)
  })

  it('waits at least as long as the API server asks', async () => {
    const reconcile = vi.fn<Reconcile>(async () => {
      const reason = 'TooManyRequests'
      throw new KubeError({ status: 429, reason, message: 'busy', retryAfterSeconds: 10 })
    })
    const { queue } = start({ reconcile })
    queue.add('a')
    await vi.advanceTimersByTimeAsync(9_999)
    expect(reconcile).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(reconcile).toHaveBeenCalledTimes(2)
    await queue.stop()
  })

  it('keeps retries of many keys to the overall rate, and fresh keys are not held up', async () => {
    const failed: string[] = []
    const reconcile = async (key: string) => {
      if (key === 'fresh') return done
      failed.push(key)
      throw new Error('fault')
    }
    const retryRate = { perSecond: 10, burst: 5 }
    const { queue } = start({ reconcile, retryRate, concurrency: 100 })
    for (let key = 0; key < 100; key += 1) queue.add(`key-${key}`)
    await vi.advanceTimersByTimeAsync(2_000)
    expect(failed.length).toBeLessThanOrEqual(100 + 5 + 2 * 10)
    expect(failed.length).toBeGreaterThan(110)
    queue.add('fresh')
    await settle()
    expect(queue.depth()).toBe(0)
    await queue.stop()
  })

  it('stops after the running reconciles, and forgets the rest', async () => {
    const { started, reconcile, finish } = manual()
    const { queue } = start({ reconcile, concurrency: 1 })
    queue.add('running')
    queue.add('waiting')
    queue.addAfter('delayed', 10)
    await settle()
    let stopped = false
    const stopping = queue.stop().then(() => (stopped = true))
    queue.add('late')
    queue.addAfter('late', 1_000_000)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(stopped).toBe(false)
    await finish('running')
    await stopping
    expect(started).toEqual(['running'])
    expect(queue.depth()).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('does not try a key again that fails while it stops', async () => {
    const run = Promise.withResolvers<Outcome>()
    const reconcile = vi.fn<Reconcile>(() => run.promise)
    const { queue, errors } = start({ reconcile })
    queue.add('a')
    await settle()
    const stopping = queue.stop()
    run.reject(new Error('fault'))
    await stopping
    expect(vi.getTimerCount()).toBe(0)
    expect(reconcile).toHaveBeenCalledTimes(1)
    expect(errors).toHaveLength(1)
  })

  it('reports waiting and running time with the outcome', async () => {
    const seen: unknown[] = []
    const onReconciled = (reconciled: unknown) => seen.push(reconciled)
    const { queue } = start({ reconcile: slow, concurrency: 1, onReconciled })
    queue.add('a')
    queue.add('b')
    await vi.advanceTimersByTimeAsync(60)
    expect(seen).toEqual([
      { outcome: 'Done', waitedMs: 0, durationMs: 30 },
      { outcome: 'Done', waitedMs: 30, durationMs: 30 },
    ])
  })
})
