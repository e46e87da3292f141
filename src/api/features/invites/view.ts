import type { InviteState, InviteView } from '../../../shared/wire/invites.ts'
import type { InviteRow } from './store.ts'

export function toInviteView(row: InviteRow, nowMs: number): InviteView {
  const { _id, email, name, department, role, by, creationTimeMs, expiresMs } = row
  return {
    id: _id,
    email,
    name,
    department,
    role,
    state: stateAt(row, nowMs),
    invitedBy: by,
    creationTime: new Date(creationTimeMs).toISOString(),
    expiresTime: new Date(expiresMs).toISOString(),
  }
}

function stateAt({ state, expiresMs }: InviteRow, nowMs: number): InviteState {
  return state === 'Open' && expiresMs <= nowMs ? 'Expired' : state
}
