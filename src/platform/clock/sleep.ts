/** Longest delay that timers can hold; longer ones would fire at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** Resolves after the delay, or at once without an error when the signal fires. */
export async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, Math.min(delayMs, TIMER_MS_MAX))
    signal.addEventListener('abort', finish, { once: true })
  })
}
