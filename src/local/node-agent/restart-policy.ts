import { assert } from '../../shared/assert.ts'

export type RestartBackoff = {
  readonly firstMs: number
  readonly maxMs: number
  /** A run at least this long starts the back-off anew. */
  readonly resetAfterMs: number
}

/** The kubelet's figures: 10 s doubling to 5 min, forgotten after 10 min of running. */
export const kubeletBackoff: RestartBackoff = {
  firstMs: 10_000,
  maxMs: 300_000,
  resetAfterMs: 600_000,
}

/** How long to wait before the next start, given the failures in a row; the first is free. */
export function restartDelayMs(restartsInRow: number, backoff: RestartBackoff): number {
  assert(restartsInRow >= 1, 'a delay is asked for after at least one end')
  if (restartsInRow === 1) return 0
  const doublings = Math.min(restartsInRow - 2, 30)
  return Math.min(backoff.firstMs * 2 ** doublings, backoff.maxMs)
}

/** Whether a container that ended with this code is started again. Init containers end with 0. */
export function mustRestart(
  policy: string | undefined,
  { exitCode, isInit }: { readonly exitCode: number; readonly isInit: boolean },
): boolean {
  if (policy === 'Never') return false
  if (policy === 'OnFailure' || isInit) return exitCode !== 0
  return true
}
