import process from 'node:process'

/**
 * Fires at SIGTERM or SIGINT, and keeps catching them: a second one must not end the process
 * before its report is out. Imported before anything heavy, so that no early signal is lost.
 */
export function catchStopSignals(): AbortSignal {
  const stop = new AbortController()
  process.on('SIGTERM', () => stop.abort())
  process.on('SIGINT', () => stop.abort())
  return stop.signal
}

/** What is left of the grace period for writing the termination message and ending. */
const reserve = 0.1

/** Fires shortly before the grace period that follows the stop is over. */
export function deadlineAfter(stop: AbortSignal, graceMs: number): AbortSignal {
  return signalAfter(stop, graceMs * (1 - reserve))
}

/** Fires so long after the other signal; at once when nothing is left. */
export function signalAfter(signal: AbortSignal, delayMs: number): AbortSignal {
  const later = new AbortController()
  const begin = () => {
    setTimeout(() => later.abort(), Math.max(0, delayMs)).unref()
  }
  if (signal.aborted) begin()
  else signal.addEventListener('abort', begin, { once: true })
  return later.signal
}

export async function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
