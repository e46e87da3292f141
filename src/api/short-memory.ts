import type { Clock } from '../shared/clock.ts'

export type ShortMemoryParts<Value> = {
  readonly read: (key: string) => Promise<Value>
  readonly clock: Clock
  /** How long a change that nobody told us of may go unnoticed. */
  readonly ageMsMax: number
  /** Beyond it everything is forgotten, and read again as it is asked for. */
  readonly sizeMax: number
  /** False where somebody could fill the memory with keys that lead to nothing. Default: true. */
  readonly keepsNull?: boolean
}

/** Spares a read on every request, for facts that change rarely. */
export type ShortMemory<Value> = {
  readonly get: (key: string) => Promise<Value>
  /** The next look reads again: somebody has changed it. */
  readonly forget: (key: string) => void
}

type Remembered<Value> = { readonly value: Value; readonly untilMs: number }

export function openShortMemory<Value>(parts: ShortMemoryParts<Value>): ShortMemory<Value> {
  const { read, clock, ageMsMax, sizeMax, keepsNull = true } = parts
  const remembered = new Map<string, Remembered<Value>>()
  let epoch = 0
  return {
    get: async (key) => {
      const known = remembered.get(key)
      if (known !== undefined && known.untilMs > clock.nowMs()) return known.value
      const asked = epoch
      const value = await read(key)
      // A read that began before a change was heard of may be older than the change.
      if (asked !== epoch || (value === null && !keepsNull)) return value
      if (remembered.size >= sizeMax) remembered.clear()
      remembered.set(key, { value, untilMs: clock.nowMs() + ageMsMax })
      return value
    },
    forget: (key) => {
      epoch += 1
      remembered.delete(key)
    },
  }
}
