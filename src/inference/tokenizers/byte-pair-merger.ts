const wordsCached = 10_000

/** Joins the symbols of one word by the ranks of merges.txt; the end of a word is `</w>`. */
export class BytePairMerger {
  readonly #ranks: ReadonlyMap<string, number>
  readonly #cache = new Map<string, readonly string[]>()

  /** `merges` are the lines of merges.txt without its version line, best first. */
  constructor(merges: readonly string[]) {
    this.#ranks = new Map(merges.map((pair, rank) => [pair, rank]))
  }

  /** `word` is written in the byte alphabet, without the end mark. */
  split(word: string): readonly string[] {
    const cached = this.#cache.get(word)
    if (cached !== undefined) return cached
    const letters = Array.from(word)
    let symbols = letters.map((letter, i) => (i === letters.length - 1 ? `${letter}</w>` : letter))
    let pair = this.#bestPair(symbols)
    while (pair !== undefined) {
      symbols = mergePair(symbols, pair)
      pair = this.#bestPair(symbols)
    }
    if (this.#cache.size < wordsCached) this.#cache.set(word, symbols)
    return symbols
  }

  #bestPair(symbols: readonly string[]): string | undefined {
    let best: string | undefined
    let bestRank = Infinity
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = `${symbols[i]} ${symbols[i + 1]}`
      const rank = this.#ranks.get(pair) ?? Infinity
      if (rank < bestRank) [best, bestRank] = [pair, rank]
    }
    return best
  }
}

function mergePair(symbols: readonly string[], pair: string): string[] {
  const merged: string[] = []
  for (let i = 0; i < symbols.length; i++) {
    const isPair = i + 1 < symbols.length && `${symbols[i]} ${symbols[i + 1]}` === pair
    merged.push(isPair ? `${symbols[i]}${symbols[i + 1]}` : symbols[i])
    if (isPair) i++
  }
  return merged
}
