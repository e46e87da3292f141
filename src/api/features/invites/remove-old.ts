import type { Clock } from '../../../shared/clock.ts'
import type { LeaderTask } from '../../people.ts'
import type { InviteStore } from './store.ts'

/** After their end invites stay for questions about them, and then so does no address. */
const keptMs = 30 * 86_400_000

export function removeOldInvites(
  invites: Pick<InviteStore, 'removeOld'>,
  clock: Clock,
): LeaderTask {
  return {
    name: 'remove-old-invites',
    everyMs: 3_600_000,
    run: async () => await invites.removeOld(clock.nowMs() - keptMs),
  }
}
