import type { Election } from '../platform/kube/lease.ts'
import type { RunningCaches } from './caches.ts'

export type StandbyCaches = {
  /** Resolves when this process leads, with caches to decide from; rejects when stopped before. */
  readonly toLeadWith: () => Promise<RunningCaches>
  readonly isSynced: () => boolean
  readonly stop: () => Promise<void>
}

/**
 * Keeps caches while another process leads, so that this one can follow it. Their watches may lag
 * behind what that one wrote last: an attempt that it has ended and cleared away would then be made
 * a second time. So whoever comes to lead lists everything anew before it decides; from then on
 * only it writes, and it knows what it wrote.
 */
export function startStandbyCaches(
  open: () => RunningCaches,
  leadership: Pick<Election, 'leading' | 'isLeading'>,
): StandbyCaches {
  const hasLedBefore = leadership.isLeading()
  let current = open()
  let isStopped = false
  let fresh: RunningCaches | undefined
  return {
    toLeadWith: async () => {
      await Promise.all([current.synced(), leadership.leading()])
      if (hasLedBefore || isStopped) return current
      const old = current
      fresh = open()
      await fresh.synced()
      current = fresh
      await old.stop()
      return fresh
    },
    isSynced: () => current.isSynced(),
    stop: async () => {
      isStopped = true
      await Promise.all([current.stop(), fresh?.stop()])
    },
  }
}
