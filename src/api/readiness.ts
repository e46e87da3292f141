import type { Clock } from '../shared/clock.ts'

const pingIntervalMs = 2000
/** Three pings may be lost before traffic is sent elsewhere. */
const silenceMsMax = 3 * pingIntervalMs

export type ReadinessParts = {
  readonly ping: () => Promise<boolean>
  readonly isSynced: () => boolean
  readonly clock: Clock
}

export type Readiness = { readonly isReady: () => boolean; readonly stop: () => void }

/** Ready means: the database answered a moment ago and the caches of the cluster are filled. */
export function startReadiness({ ping, isSynced, clock }: ReadinessParts): Readiness {
  let answeredMs = Number.NEGATIVE_INFINITY
  let isAsking = false
  const ask = async (): Promise<void> => {
    if (isAsking) return
    isAsking = true
    if (await ping()) answeredMs = clock.nowMs()
    isAsking = false
  }
  void ask().catch(ignore)
  const timer = setInterval(() => void ask().catch(ignore), pingIntervalMs)
  return {
    isReady: () => isSynced() && clock.nowMs() - answeredMs <= silenceMsMax,
    stop: () => clearInterval(timer),
  }
}

/** A ping answers false instead of failing. */
function ignore(): void {}
