import type { Caller, Origin } from '../../../shared/domain/caller.ts'
import {
  canManage,
  canSee,
  requirePermission,
  visibleRows,
} from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type {
  AcceptRequest,
  ImportAnswer,
  InviteRequest,
  InviteView,
} from '../../../shared/wire/invites.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import { acceptInvite, type AcceptParts } from './accept.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import { importInvites, type InviteFile } from './import.ts'
import { type InviteParts, invitePerson } from './invite.ts'
import { revokeInvite } from './revoke.ts'
import { toInviteView } from './view.ts'

/** Who may come without asking. */
export type InviteService = {
  /**
   * Invites an address; an open invite of it to the same department is replaced and its token
   * dead. Errors: `department.not_found`, `auth.forbidden`, `user.email_taken` for a person whom
   * the caller may see.
   */
  readonly create: (caller: Caller, request: InviteRequest) => Promise<InviteView>
  /** Invites everybody of a CSV file. Errors: `request.invalid` when it cannot be read. */
  readonly import: (caller: Caller, file: InviteFile) => Promise<ImportAnswer>
  /** Newest first, also those that have ended. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<InviteView>>
  /** Safe to repeat. Errors: `invite.not_found`, also for one that was accepted. */
  readonly revoke: (caller: Caller, id: string) => Promise<void>
  /**
   * Open to whoever has the token. Errors: `invite.invalid`, `request.invalid` for a password
   * that is easy to guess, `rate.limited` while too many sign in.
   */
  readonly accept: (request: AcceptRequest, origin: Origin) => Promise<SessionView>
}

export function createInviteService(parts: InviteParts & AcceptParts): InviteService {
  const { invites, clock } = parts
  return {
    create: async (caller, { name = null, ...request }) => {
      requirePermission(caller, 'users.invite')
      const invite = { ...request, name }
      const { row } = await invitePerson(parts, caller, { invite, keepSame: false })
      return toInviteView(row, clock.nowMs())
    },
    import: async (caller, file) => {
      requirePermission(caller, 'users.invite')
      return await importInvites(parts, caller, file)
    },
    list: async (caller, { limit, cursor }) => {
      requirePermission(caller, 'users.invite')
      const rows = visibleRows(caller)
      const beforeId = cursor === undefined ? undefined : decodeCursor(cursor)
      const found = await invites.page({ rows, beforeId, limit: limit + 1 })
      const page = found.slice(0, limit)
      const last = page.at(-1)
      return {
        items: page.map((row) => toInviteView(row, clock.nowMs())),
        next: last !== undefined && found.length > limit ? encodeCursor(last._id) : null,
      }
    },
    revoke: async (caller, id) => {
      requirePermission(caller, 'users.invite')
      await revoke(parts, caller, id)
    },
    accept: async (request, origin) => await acceptInvite(parts, request, origin),
  }
}

async function revoke(parts: InviteParts, caller: Caller, id: string): Promise<void> {
  const { invites } = parts
  const row = await invites.find(id)
  if (row === null || !canSee(caller, { department: row.department, user: row.by })) {
    throw notFound()
  }
  if (!canManage(caller, row)) {
    throw new AppError('auth.forbidden', 'only super admins revoke invitations of admins')
  }
  if (await revokeInvite(parts, row, caller)) return
  // It may have been accepted since it was read.
  if ((await invites.find(id))?.state === 'Accepted') throw notFound()
}

function notFound(): AppError {
  return new AppError('invite.not_found', 'there is no such invitation that waits for an answer')
}
