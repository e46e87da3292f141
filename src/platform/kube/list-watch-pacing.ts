import type { Clock } from '../../shared/clock.ts'
import { startBackOff } from './back-off.ts'
import { isUnreachable, retryAfterMs } from './errors.ts'

/** A server that refuses, or a watch that ends at once: client-go's schedule. */
const REFUSED = { baseMs: 800, capMs: 30_000, jitter: 0.5 }
/**
 * No answer at all costs the server nothing, so the steps stay short: after an outage of any
 * length the cache is up to date again within these seconds.
 */
const UNREACHABLE = { baseMs: 800, capMs: 4_000, jitter: 0.5 }
/** Shorter than the shortest watch: who has lived through one has recovered. */
const HEALTHY_MS = 25_000
/** A watch that ended in order after this long is continued without a back-off step. */
const ORDERLY_MS = 10_000
/** Ended in order but early: a server that goes ends all its watches, and all come back at once. */
const SPREAD_MS = 1_000
/**
 * Ended in order after news: an API server that cannot send changes as fast as they come ends the
 * watch (its metric apiserver_terminated_watchers_total). Whoever waits then is further behind.
 */
const BEHIND_MS = 200

export type Pacing = {
  /** A list or watch begins; a watch is asked to last so long. */
  readonly begin: (plannedMs: number) => void
  /** It has ended, with an error or in order: how long to wait before the next. */
  readonly end: (error: unknown, told: { readonly news: boolean }) => number
  /** The server answered and said no. */
  readonly isRefusal: (error: unknown) => boolean
}

/** Decides how long a list-watch waits between its requests. */
export function startPacing(options: {
  readonly clock: Clock
  readonly random: () => number
}): Pacing {
  const { clock, random } = options
  const refused = startBackOff({ ...REFUSED, random })
  const unreachable = startBackOff({ ...UNREACHABLE, random })
  let startedMs = clock.nowMs()
  let plannedMs = 0
  return {
    begin: (duration) => {
      startedMs = clock.nowMs()
      plannedMs = duration
    },
    end: (error, { news }) => {
      const livedMs = clock.nowMs() - startedMs
      if (livedMs >= HEALTHY_MS) {
        refused.reset()
        unreachable.reset()
      }
      if (error === undefined && livedMs >= ORDERLY_MS) {
        return livedMs >= plannedMs ? 0 : SPREAD_MS * random()
      }
      if (error === undefined && news) return BEHIND_MS * random()
      if (isUnreachable(error)) {
        refused.reset()
        return unreachable.next()
      }
      return Math.max(retryAfterMs(error), refused.next())
    },
    isRefusal: (error) => error !== undefined && !isUnreachable(error),
  }
}
