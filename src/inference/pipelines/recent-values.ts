/** Keeps the values used last, up to a limit; the one unused for longest makes room. */
export class RecentValues<Value> {
  readonly #limit: number
  /** A Map keeps the order of insertion, so its first key is the oldest. */
  readonly #values = new Map<string, Value>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** The value of `key`, made when it is not there. What fails to be made is not kept. */
  async get(key: string, make: () => Promise<Value>): Promise<Value> {
    const value = this.#values.get(key) ?? (await make())
    this.#values.delete(key)
    this.#values.set(key, value)
    const [oldest] = this.#values.keys()
    if (this.#values.size > this.#limit && oldest !== undefined) this.#values.delete(oldest)
    return value
  }
}
