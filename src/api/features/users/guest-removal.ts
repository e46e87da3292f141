import type { Clock } from '../../../shared/clock.ts'
import type { LeaderTask } from '../../people.ts'
import type { CurrentSettings } from '../settings/current.ts'
import { decideGuestRemoval } from './decisions.ts'
import type { PersonChanges } from './person-changes.ts'
import type { UserStore } from './store.ts'

const dayMs = 86_400_000
const everyMs = 60_000
const guestsMax = 100

export type GuestRemovalParts = {
  readonly users: Pick<UserStore, 'page'>
  readonly personChanges: PersonChanges
  readonly settings: CurrentSettings
  readonly clock: Clock
}

/**
 * Removes guests on whom nobody decided in time, so that their addresses can sign up again. Two
 * replicas at once do no harm: each decides on the row as it is then.
 */
export function createGuestRemoval(parts: GuestRemovalParts): LeaderTask {
  const { users, personChanges, settings, clock } = parts
  return {
    name: 'guest-removal',
    everyMs,
    run: async () => {
      const { guestDays } = await settings()
      const createdBeforeMs = clock.nowMs() - guestDays * dayMs
      const guests = await users.page({
        rows: { kind: 'All' },
        role: 'guest',
        states: ['Active', 'Disabled'],
        createdBeforeMs,
        limit: guestsMax,
      })
      for (const { _id } of guests) {
        await personChanges.apply(_id, 'guest-removal', (row) =>
          decideGuestRemoval(row, createdBeforeMs),
        )
      }
    },
  }
}
