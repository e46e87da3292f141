/** Keys without a group that go in a row while others wait. */
const AHEAD_IN_A_ROW = 3

export type WaitingKey = { readonly key: string; readonly sinceMs: number }

/**
 * Keys that wait for a worker. Those without a group go first, three to one of the others; of the
 * others each group has its turn, so that nobody waits for the thousands that somebody else has
 * brought. Within a group the oldest goes first.
 */
export class WaitingKeys {
  readonly #ahead = new Map<string, number>()
  /** The group whose turn it is comes first. */
  readonly #groups = new Map<string, Map<string, number>>()
  readonly #groupOf = new Map<string, string>()
  #inARow = 0

  get size(): number {
    return this.#ahead.size + this.#groupOf.size
  }

  /** A key that waits keeps its place, unless it goes ahead now. */
  add({ key, sinceMs }: WaitingKey, group: string | undefined): void {
    if (this.#ahead.has(key)) return
    if (group === undefined) {
      this.#ahead.set(key, this.#remove(key) ?? sinceMs)
      return
    }
    if (this.#groupOf.has(key)) return
    const keys = this.#groups.get(group) ?? new Map<string, number>()
    this.#groups.set(group, keys)
    keys.set(key, sinceMs)
    this.#groupOf.set(key, group)
  }

  /** The next one that may run. */
  take(mayRun: (key: string) => boolean): WaitingKey | undefined {
    const isTurnOfOthers = this.#inARow >= AHEAD_IN_A_ROW
    if (isTurnOfOthers) return this.#takeOther(mayRun) ?? this.#takeAhead(mayRun)
    return this.#takeAhead(mayRun) ?? this.#takeOther(mayRun)
  }

  clear(): void {
    this.#ahead.clear()
    this.#groups.clear()
    this.#groupOf.clear()
  }

  #takeAhead(mayRun: (key: string) => boolean): WaitingKey | undefined {
    const found = firstOf(this.#ahead, mayRun)
    if (found === undefined) return undefined
    this.#ahead.delete(found.key)
    this.#inARow += 1
    return found
  }

  #takeOther(mayRun: (key: string) => boolean): WaitingKey | undefined {
    for (const [group, keys] of this.#groups) {
      const found = firstOf(keys, mayRun)
      if (found === undefined) continue
      this.#remove(found.key)
      this.#moveBack(group)
      this.#inARow = 0
      return found
    }
    return undefined
  }

  #moveBack(group: string): void {
    const keys = this.#groups.get(group)
    if (keys === undefined) return
    this.#groups.delete(group)
    this.#groups.set(group, keys)
  }

  /** Since when it waited. */
  #remove(key: string): number | undefined {
    const group = this.#groupOf.get(key)
    if (group === undefined) return undefined
    const keys = this.#groups.get(group)
    const sinceMs = keys?.get(key)
    keys?.delete(key)
    if (keys?.size === 0) this.#groups.delete(group)
    this.#groupOf.delete(key)
    return sinceMs
  }
}

function firstOf(
  keys: ReadonlyMap<string, number>,
  mayRun: (key: string) => boolean,
): WaitingKey | undefined {
  for (const [key, sinceMs] of keys) if (mayRun(key)) return { key, sinceMs }
  return undefined
}
