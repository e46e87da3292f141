import type { Seal } from '../../../platform/seal/seal.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { CurrentSettings } from '../settings/current.ts'
import type { UserDirectory } from '../users/directory.ts'
import type { IdentityChanges } from '../users/identity-changes.ts'
import type { SessionStore } from './store.ts'
import type { Tokens } from './tokens.ts'

/** What begins, carries on and ends sessions. */
export type SessionParts = {
  readonly store: SessionStore
  readonly tokens: Tokens
  readonly directory: Pick<UserDirectory, 'find' | 'findByEmail'>
  readonly settings: CurrentSettings
  readonly changes: Pick<IdentityChanges, 'publish'>
  readonly trail: AuditTrail
  readonly clock: Clock
  readonly newId: () => string
  readonly randomBytes: RandomBytes
  readonly seal: Pick<Seal, 'digest'>
  /** Tells people that somebody else may hold their tokens. */
  readonly mailer: Pick<Mailer, 'send'> | undefined
  readonly notifier: Notifier
}

/** Live sessions of one person; a further one ends the oldest. */
export const sessionsMax = 100
