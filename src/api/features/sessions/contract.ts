import type { Caller, Origin } from '../../../shared/domain/caller.ts'
import type { OwnSession, SessionView } from '../../../shared/wire/sessions.ts'

/** How somebody proved who they are. */
export type SessionMethod = OwnSession['method']

/** Why a session ended, for the audit log. */
export type SessionEnd =
  | 'SignedOut'
  | 'Revoked'
  | 'Reused'
  | 'PasswordChanged'
  | 'Disabled'
  | 'Deleted'

/** What other features do with sessions. */
export type SessionKeeper = {
  /** Begins a session for somebody who has proven who they are. */
  readonly start: (wish: {
    readonly userId: string
    readonly method: SessionMethod
    readonly origin: Origin | undefined
  }) => Promise<SessionView>
  /** Ends all sessions of a person but `keepSessionId`. Safe to repeat. */
  readonly endAll: (wish: {
    readonly userId: string
    readonly reason: SessionEnd
    readonly by: Caller | string
    readonly keepSessionId?: string | null | undefined
  }) => Promise<void>
  /** Whether a session still lives; a few seconds old at most. For sockets. */
  readonly isLive: (sessionId: string) => Promise<boolean>
}
