import type { Clock } from '../../shared/clock.ts'
import type { FetchProgress } from '../../shared/wire/internal.ts'
import { SpeedMeter } from './speed-meter.ts'

/** How many bytes of all packs are there, and how fast they come. */
export class Progress {
  readonly #clock: Clock
  readonly #meter = new SpeedMeter()
  readonly #packs: { readonly totalBytes: number; doneBytes: number }[]

  constructor(clock: Clock, totals: readonly number[]) {
    this.#clock = clock
    this.#packs = totals.map((totalBytes) => ({ totalBytes, doneBytes: 0 }))
  }

  /** What lies in a folder may be more than the pack: it never counts as more. */
  note(index: number, bytes: number): void {
    const pack = this.#packs[index]
    if (pack !== undefined) pack.doneBytes = Math.min(bytes, pack.totalBytes)
  }

  /** To be asked regularly: the speed is measured from one time to the next. */
  now(): FetchProgress {
    const bytesDone = this.#packs.reduce((sum, { doneBytes }) => sum + doneBytes, 0)
    const bytesTotal = this.#packs.reduce((sum, { totalBytes }) => sum + totalBytes, 0)
    this.#meter.note({ atMs: this.#clock.nowMs(), bytes: bytesDone })
    const secondsRemaining = this.#meter.secondsFor(bytesTotal - bytesDone) ?? null
    return { bytesDone, bytesTotal, secondsRemaining }
  }
}
