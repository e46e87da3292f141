import { unreachable } from '../../../shared/assert.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { serveItem, type ItemLog } from '../../serve-item.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { SessionKeeper } from '../sessions/contract.ts'
import { returnCredits } from '../accounts/leave.ts'
import type { AccountService } from '../accounts/service.ts'
import type { Errand } from './errand.ts'
import { emailIdentity, type IdentityStore } from './identities.ts'
import type { UserRow, UserStore } from './store.ts'

export type Errands = {
  /** Does what the row still owes, in order. Safe to repeat, and at the same time elsewhere. */
  readonly finish: (row: UserRow, by: Caller | string) => Promise<void>
  /** Does what crashes left, for all people. */
  readonly sweep: () => Promise<void>
}

export type ErrandParts = {
  readonly users: Pick<UserStore, 'find' | 'findWithErrands' | 'dropErrand'>
  readonly identities: Pick<IdentityStore, 'listOf' | 'release'>
  readonly sessions: Pick<SessionKeeper, 'endAll'>
  readonly accounts: Pick<AccountService, 'recall'>
  readonly mailer: Mailer
  readonly notifier: Notifier
  readonly log: ItemLog
}

const sweptMax = 100

export function createErrands(parts: ErrandParts): Errands {
  const { users, log } = parts
  const finish: Errands['finish'] = async (row, by) => {
    for (const errand of row.errands ?? []) {
      await run(parts, errand, { userId: row._id, by })
      await users.dropErrand(row._id, errand._id)
    }
  }
  return {
    finish,
    sweep: async () => {
      for (const row of await users.findWithErrands(sweptMax)) {
        await serveItem({ id: row._id, log }, async () => await finish(row, 'people-errands'))
      }
    },
  }
}

type Whose = { readonly userId: string; readonly by: Caller | string }

async function run(parts: ErrandParts, errand: Errand, { userId, by }: Whose): Promise<void> {
  const { sessions, mailer, notifier } = parts
  switch (errand.kind) {
    case 'EndSessions': {
      const { reason, keepSessionId } = errand
      return await sessions.endAll({ userId, reason, by, keepSessionId })
    }
    case 'ReleaseIdentities':
      return await releaseIdentities(parts, userId)
    case 'ReleaseIdentity':
      return await releaseFormer(parts, userId, errand.identityId)
    case 'ReturnCredits': {
      const { _id, accountId } = errand
      const leaving = { transferId: `leave:${_id}`, accountId }
      // A ledger at fault must not stop changes of the person: every minute it is tried again.
      const item = { id: accountId, log: parts.log }
      return await serveItem(item, async () => await returnCredits(parts, leaving))
    }
    case 'SendMail':
      return await mailer.send(errand.mail)
    case 'Notify':
      return await notifier.notify(errand.notice)
    default:
      return unreachable(errand)
  }
}

/** From then on their addresses and sign-in subjects can belong to somebody new. */
async function releaseIdentities({ identities }: ErrandParts, userId: string): Promise<void> {
  for (const { _id } of await identities.listOf(userId)) await identities.release(_id, userId)
}

/** They may have taken the address back since. */
async function releaseFormer(
  { users, identities }: ErrandParts,
  userId: string,
  identityId: string,
): Promise<void> {
  const row = await users.find(userId)
  const isTheirs = row !== null && emailIdentity(row.email) === identityId
  if (!isTheirs) await identities.release(identityId, userId)
}
