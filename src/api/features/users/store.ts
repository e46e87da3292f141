import type { Database } from '../../../platform/mongo/database.ts'
import type { Role } from '../../../shared/domain/permissions.ts'

/** `_id` is the user id: computed from the address, so that an address is taken only once. */
export type UserRow = {
  readonly _id: string
  readonly email: string
  readonly name: string
  readonly role: Role
  readonly department: string
  /** PHC string. */
  readonly passwordHash: string
}

/** The only writer of the collection `users`. */
export type UserStore = {
  readonly find: (userId: string) => Promise<UserRow | null>
  /** Makes or replaces the row of this id. */
  readonly put: (row: UserRow) => Promise<void>
}

export function createUserStore(database: Database): UserStore {
  const users = database.documents<UserRow>('users')
  return {
    find: users.findById,
    put: async (row) => {
      if (await users.insert(row)) return
      const { _id, ...fields } = row
      await users.update({ _id }, { $set: fields })
    },
  }
}
