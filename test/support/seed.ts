/** Of what a test draws for itself; `ATELIER_TEST_SEED` repeats a run that failed. */
export const seed = Number(process.env['ATELIER_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** Numbers from 0 to 1, the same for the same seed (mulberry32 by Tommy Ettinger). */
export function startRandom(from: number): () => number {
  let state = from
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
