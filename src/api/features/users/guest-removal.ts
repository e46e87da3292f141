import type { Clock } from '../../../shared/clock.ts'
import type { LeaderTask } from '../../people.ts'
import { serveItem, type ItemLog } from '../../serve-item.ts'
import type { CurrentSettings } from '../settings/current.ts'
import { decideGuestRemoval } from './decisions.ts'
import type { PersonChanges } from './person-changes.ts'
import type { UserRow, UserStore } from './store.ts'

const dayMs = 86_400_000
const name = 'guest-removal'
const everyMs = 60_000
const guestsMax = 100

export type GuestRemovalParts = {
  readonly users: Pick<UserStore, 'page'>
  readonly personChanges: PersonChanges
  readonly settings: CurrentSettings
  readonly clock: Clock
  readonly log: ItemLog
}

/**
 * Removes guests on whom nobody decided in time, so that their addresses can sign up again. Two
 * replicas at once do no harm: each decides on the row as it is then.
 */
export function createGuestRemoval(parts: GuestRemovalParts): LeaderTask {
  const { users, personChanges, settings, clock, log } = parts
  return {
    name,
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
      const decide = (row: UserRow) => decideGuestRemoval(row, createdBeforeMs)
      for (const { _id: id } of guests) {
        await serveItem({ id, log }, async () => await personChanges.apply(id, name, decide))
      }
    },
  }
}
