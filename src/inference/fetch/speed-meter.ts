import { SPEED_WINDOW_MS } from './limits.ts'

type Sample = { readonly atMs: number; readonly bytes: number }

/** How fast bytes came lately. */
export class SpeedMeter {
  #samples: readonly Sample[] = []

  /** `bytes`: all so far. */
  note(sample: Sample): void {
    const fromMs = sample.atMs - SPEED_WINDOW_MS
    this.#samples = [...this.#samples.filter(({ atMs }) => atMs >= fromMs), sample]
  }

  /** Undefined while nothing came. */
  secondsFor(bytes: number): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    if (bytes === 0) return 0
    if (first === undefined || last === undefined || last.bytes <= first.bytes) return undefined
    const bytesPerMs = (last.bytes - first.bytes) / (last.atMs - first.atMs)
    return Math.ceil(bytes / bytesPerMs / 1000)
  }
}
