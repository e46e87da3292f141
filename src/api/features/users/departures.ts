import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import type { UserRow, UserStore } from './store.ts'

/** A super admin who is about to stop being one, by a change that is guarded by `revision`. */
type Departure = {
  readonly userId: string
  readonly revision: number
  readonly sinceMs: number
}

/** One document, so that two super admins who remove each other meet here. */
type DepartureList = {
  readonly _id: 'super_admins'
  readonly leaving: readonly Departure[]
  readonly revision: number
}

type Leaver = Pick<UserRow, '_id' | 'revision'>

/**
 * Keeps at least one active super admin without transactions. Whoever is to stop being one is
 * listed here before their row changes, and only while somebody else is an active super admin and
 * not listed. The list is compared and set: when it was written, no one that it counted on had
 * begun to leave since it was read. New super admins need no entry, their rows are counted.
 */
export type Departures = {
  /** Errors: `user.last_super_admin`; `platform.unavailable` when too many leave at once. */
  readonly begin: (leaver: Leaver) => Promise<void>
  /** After the change of the row was made or refused. */
  readonly end: (leaver: Leaver) => Promise<void>
}

/** A change takes milliseconds: one that is older was left by a crash. */
const staleMs = 10_000
const attemptsMax = 50

export type DepartureParts = {
  readonly database: Database
  readonly users: Pick<UserStore, 'page' | 'fence'>
  readonly clock: Clock
}

/** The only writer of the collection `departures`. */
export function createDepartures({ database, users, clock }: DepartureParts): Departures {
  const lists = database.documents<DepartureList>('departures')
  const read = async (): Promise<DepartureList> => {
    const list = await lists.findById('super_admins')
    if (list !== null) return list
    const empty: DepartureList = { _id: 'super_admins', leaving: [], revision: 0 }
    await lists.insert(empty)
    return (await lists.findById('super_admins')) ?? empty
  }
  const replace = async ({ _id, revision }: DepartureList, leaving: readonly Departure[]) =>
    await lists.update(
      { _id, revision },
      { $set: { leaving: [...leaving] }, $inc: { revision: 1 } },
    )
  /** Compare and set: each failed attempt means that somebody else's succeeded. */
  const rewrite = async (change: Rewrite): Promise<void> => {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const list = await read()
      if (await replace(list, await change(list.leaving))) return
    }
    throw new AppError('platform.unavailable', 'too many super admins change at once: try again')
  }
  const othersStay = async (leaving: readonly Departure[], userId: string): Promise<boolean> => {
    const leavers = new Set([userId, ...leaving.map((one) => one.userId)])
    const role = 'super_admin'
    const query = { rows: { kind: 'All' }, role, state: 'Active', limit: leavers.size + 1 } as const
    return (await users.page(query)).some(({ _id }) => !leavers.has(_id))
  }
  return {
    begin: async ({ _id: userId, revision }) =>
      await rewrite(async (leaving) => {
        const nowMs = clock.nowMs()
        const isLeft = (one: Departure): boolean =>
          one.userId === userId || one.sinceMs <= nowMs - staleMs
        // Their changes may still be on the way to the database: then they must fail there.
        for (const one of leaving.filter(isLeft)) await users.fence(one.userId, one.revision)
        const others = leaving.filter((one) => !isLeft(one))
        if (!(await othersStay(others, userId))) throw lastSuperAdmin()
        return [...others, { userId, revision, sinceMs: nowMs }]
      }),
    end: async ({ _id: userId, revision }) =>
      await rewrite(async (leaving) =>
        leaving.filter((one) => one.userId !== userId || one.revision !== revision),
      ),
  }
}

type Rewrite = (leaving: readonly Departure[]) => Promise<readonly Departure[]>

function lastSuperAdmin(): AppError {
  const message = 'there would be no active super admin left: appoint another one first'
  return new AppError('user.last_super_admin', message)
}
