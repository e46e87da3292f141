import { type Membership, tierAt } from '../../../shared/domain/membership.ts'
import type { UserView } from '../../../shared/wire/sessions.ts'
import type { MembershipView, PersonView } from '../../../shared/wire/users.ts'
import type { UserRow } from './store.ts'

export function toUserView(row: UserRow): UserView {
  const { _id, email, name, language, role, department } = row
  return { id: _id, email, name, language, role, department }
}

/** Says whether there is a password, and nothing else about it. */
export function toPersonView(row: UserRow, nowMs: number): PersonView {
  return {
    ...toUserView(row),
    state: row.state,
    membership: toMembershipView(row.membership, nowMs),
    creationTime: new Date(row.creationTimeMs).toISOString(),
    hasPassword: row.passwordHash !== null,
  }
}

function toMembershipView(membership: Membership, nowMs: number): MembershipView {
  const { tier, expiresMs } = membership
  return {
    tier,
    expiresTime: expiresMs === null ? null : new Date(expiresMs).toISOString(),
    effectiveTier: tierAt(membership, nowMs),
  }
}
