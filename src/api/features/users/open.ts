import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { LeaderTask, People } from '../../people.ts'
import type { ItemLog } from '../../serve-item.ts'
import type { AccountService } from '../accounts/service.ts'
import type { SessionKeeper } from '../sessions/contract.ts'
import type { Passwords } from '../sessions/passwords.ts'
import type { SignInAttempts } from '../sessions/sign-in-attempts.ts'
import { type Administration, createAdministration } from './administration.ts'
import { createDepartures } from './departures.ts'
import { createErrands, type Errands } from './errands.ts'
import { createGuestRemoval } from './guest-removal.ts'
import { createPersonChanges, type PersonChanges } from './person-changes.ts'
import { createUserService, type UserService } from './service.ts'

export type UserDeps = {
  readonly people: People
  readonly database: Database
  readonly accounts: Pick<AccountService, 'balance' | 'recall'>
  readonly passwords: Passwords
  readonly attempts: SignInAttempts
  readonly sessions: Pick<SessionKeeper, 'endAll'>
  readonly mailer: Mailer
  readonly clock: Clock
  readonly log: ItemLog
}

export type Users = {
  readonly service: UserService
  readonly administration: Administration
  readonly personChanges: PersonChanges
  readonly errands: Errands
  readonly leaderTasks: readonly LeaderTask[]
}

const sweepMs = 5000

export function openUsers(deps: UserDeps): Users {
  const { people } = deps
  const departures = createDepartures({ ...deps, ...people })
  const errands = createErrands({ ...deps, ...people, identities: people.directory.identities })
  const personChanges = createPersonChanges({ ...people, departures, errands })
  const parts = { ...deps, ...people, personChanges }
  return {
    service: createUserService(parts),
    administration: createAdministration(parts),
    personChanges,
    errands,
    leaderTasks: [
      { name: 'people-errands', everyMs: sweepMs, run: errands.sweep },
      createGuestRemoval(parts),
    ],
  }
}
