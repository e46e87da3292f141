import { Redis } from 'ioredis'
import { z } from 'zod'
import type { Clock } from '../../shared/clock.ts'
import { withDeadline } from '../clock/deadline.ts'

export type CounterOptions = {
  readonly url: string
  /** Put before every key. */
  readonly prefix: string
  readonly clock: Clock
  /** Told about connection faults; must not throw. */
  readonly onError: (error: unknown) => void
}

export type Counted = {
  readonly count: number
  /** Until the window ends and the count begins anew; 0 where nothing was counted. */
  readonly leftMs: number
}

/**
 * Counts within fixed windows, over all replicas while Redis answers and otherwise over this one.
 * Memory always counts along, so that a limit goes on where it was when Redis falls away. Nothing
 * here throws, and nothing waits longer than `answerMs`.
 */
export type Counters = {
  /** Counts one more. The window begins with the first. */
  readonly hit: (key: string, windowMs: number) => Promise<Counted>
  readonly read: (key: string) => Promise<Counted>
  /** What this replica knows, at once. */
  readonly recall: (key: string) => Counted
  /** Takes one back. */
  readonly undo: (key: string) => Promise<void>
  readonly forget: (key: string) => Promise<void>
  readonly close: () => void
}

/** Who waits for a counter waits for nothing useful. */
const answerMs = 150
/** After a late answer Redis is left alone for a moment, or each request would wait again. */
const restMs = 1000
const rememberedMax = 50_000
const lateMessage = `Redis did not answer within ${answerMs} ms`

const countScript = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}`
const readScript = `
return {tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])}`
/** A window that has ended meanwhile must not come back below zero and for good. */
const undoScript = `
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then return redis.call('DECR', KEYS[1]) end
return 0`
const forgetScript = "return redis.call('DEL', KEYS[1])"

const pair = z.tuple([z.number(), z.number()])

export function openCounters(options: CounterOptions): Counters {
  const memory = openMemory(options.clock)
  const redis = connect(options)
  let restUntilMs = 0
  const ask = async (script: string, key: string, ...values: string[]): Promise<Answer> => {
    if (redis.status !== 'ready' || options.clock.nowMs() < restUntilMs) return noAnswer
    const answer = redis.eval(script, 1, options.prefix + key, ...values)
    try {
      const inTime = await withDeadline(answer, answerMs, () => new Error(lateMessage))
      return { ...noAnswer, inTime }
    } catch (error) {
      restUntilMs = options.clock.nowMs() + restMs
      options.onError(error)
      return { ...noAnswer, late: answer.catch(() => null) }
    }
  }
  const learnLate = async (key: string, late: Promise<unknown>): Promise<void> => {
    const all = shared(await late)
    if (all !== null) memory.learnMissed(key, all)
  }
  return {
    hit: async (key, windowMs) => {
      const own = memory.hit(key, windowMs)
      const { inTime, late } = await ask(countScript, key, String(windowMs))
      const all = shared(inTime)
      if (all !== null) return memory.learn(key, all)
      memory.noteMissed(key)
      void learnLate(key, late)
      return own
    },
    read: async (key) => {
      const all = shared((await ask(readScript, key)).inTime)
      return all === null ? memory.recall(key) : memory.learn(key, all)
    },
    recall: memory.recall,
    undo: async (key) => {
      memory.undo(key)
      await ask(undoScript, key)
    },
    forget: async (key) => {
      memory.forget(key)
      await ask(forgetScript, key)
    },
    close: () => redis.disconnect(),
  }
}

/** What Redis says within `answerMs` and what it says after that; null where it says nothing. */
type Answer = { readonly inTime: unknown; readonly late: Promise<unknown> }
const noAnswer: Answer = { inTime: null, late: Promise.resolve(null) }

/** What Redis said, or null when it said nothing. */
function shared(answer: unknown): Counted | null {
  const parsed = pair.safeParse(answer)
  return parsed.success ? { count: parsed.data[0], leftMs: Math.max(0, parsed.data[1]) } : null
}

type Window = {
  readonly count: number
  readonly endsMs: number
  /** Counted here while Redis did not answer: they are not in its number. */
  readonly missed: number
}

/** Windows of this process, the oldest of which make room. */
function openMemory({ nowMs }: Clock) {
  const windows = new Map<string, Window>()
  const find = (key: string): Window | null => {
    const found = windows.get(key)
    return found === undefined || found.endsMs <= nowMs() ? null : found
  }
  const keep = (key: string, window: Window): Counted => {
    windows.delete(key)
    windows.set(key, window)
    const [oldest] = windows.keys()
    if (windows.size > rememberedMax && oldest !== undefined) windows.delete(oldest)
    return { count: window.count, leftMs: window.endsMs - nowMs() }
  }
  const learn = (key: string, { count, leftMs }: Counted): Counted => {
    const { missed, endsMs } = find(key) ?? { missed: 0, endsMs: nowMs() }
    if (count === 0 && missed === 0) return { count, leftMs: 0 }
    return keep(key, {
      count: count + missed,
      endsMs: count === 0 ? endsMs : nowMs() + leftMs,
      missed,
    })
  }
  const addMissed = (key: string, more: number): void => {
    const known = find(key)
    if (known !== null) keep(key, { ...known, missed: Math.max(0, known.missed + more) })
  }
  return {
    learn,
    hit: (key: string, windowMs: number): Counted => {
      const known = find(key) ?? { count: 0, endsMs: nowMs() + windowMs, missed: 0 }
      return keep(key, { ...known, count: known.count + 1 })
    },
    noteMissed: (key: string): void => addMissed(key, 1),
    /** One that was missed is in Redis's number after all. */
    learnMissed: (key: string, counted: Counted): void => {
      addMissed(key, -1)
      learn(key, counted)
    },
    recall: (key: string): Counted => {
      const found = find(key)
      return found === null
        ? { count: 0, leftMs: 0 }
        : { count: found.count, leftMs: found.endsMs - nowMs() }
    },
    undo: (key: string): void => {
      const found = find(key)
      if (found !== null) keep(key, { ...found, count: Math.max(0, found.count - 1) })
    },
    forget: (key: string): void => void windows.delete(key),
  }
}

function connect({ url, onError }: CounterOptions): Redis {
  const redis = new Redis(url, {
    // Version 3 of the protocol answers scripts in other shapes.
    protocol: 2,
    connectTimeout: 5000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2000),
  })
  // Without a listener ioredis would end the process on a refused connection.
  redis.on('error', onError)
  return redis
}
