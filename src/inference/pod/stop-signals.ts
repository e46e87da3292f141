import process from 'node:process'

/** Fires at SIGTERM or SIGINT. Imported before anything heavy, so that no early signal is lost. */
export function catchStopSignals(): AbortSignal {
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  process.once('SIGINT', () => stop.abort())
  return stop.signal
}

/** What is left of the grace period for writing the termination message and ending. */
const reserve = 0.1

/** Fires shortly before the grace period that follows the stop is over. */
export function deadlineAfter(stop: AbortSignal, graceMs: number): AbortSignal {
  const deadline = new AbortController()
  const begin = () => {
    setTimeout(() => deadline.abort(), graceMs * (1 - reserve)).unref()
  }
  if (stop.aborted) begin()
  else stop.addEventListener('abort', begin, { once: true })
  return deadline.signal
}
