import type { Database } from '../../platform/mongo/database.ts'
import type { Language } from '../../shared/wire/text.ts'
import type { MailContent } from './mailer.ts'

/** A mail that was or will be sent: the outbox of record, as Redis may be emptied at any time. */
export type MailRow = {
  /** SHA-256 of the mail's id. */
  readonly _id: string
  readonly state: 'Waiting' | 'Sent' | 'Failed'
  /** Address and content, sealed; null when the mail has ended. */
  readonly sealed: string | null
  readonly template: MailContent['template']
  readonly language: Language
  readonly attempts: number
  /** What came of the last attempt that was not taken: an SMTP code, a fault, or `expired`. */
  readonly fault: string | null
  /** Until then one handler sends it, and the others leave it alone. */
  readonly claimedUntilMs: number
  /** Sent later it would help nobody. */
  readonly sendBeforeMs: number
  readonly creationTimeMs: number
  readonly updateTimeMs: number
  readonly sentTimeMs: number | null
}

export type MailEnd = {
  readonly state: 'Sent' | 'Failed'
  readonly fault: string | null
  readonly nowMs: number
}

/** The only writer of `mails`. */
export type MailStore = {
  /** False when the mail is there already. */
  readonly insert: (row: MailRow) => Promise<boolean>
  /** The mail, which now is the caller's until `untilMs`; null when it ended or is another's. */
  readonly claim: (id: string, times: ClaimTimes) => Promise<MailRow | null>
  /** Gives a claimed mail back after an attempt that failed. */
  readonly release: (id: string, attempt: FailedAttempt) => Promise<void>
  /** Ends a mail and forgets what it said and to whom. */
  readonly end: (id: string, end: MailEnd) => Promise<void>
  /** Waiting mails that nobody touched since, longest first. */
  readonly findIdle: (beforeMs: number, limit: number) => Promise<readonly MailRow[]>
  readonly touch: (id: string, nowMs: number) => Promise<void>
  readonly findEnded: (beforeMs: number, limit: number) => Promise<readonly MailRow[]>
  readonly remove: (id: string) => Promise<void>
}

export type ClaimTimes = { readonly nowMs: number; readonly untilMs: number }
export type FailedAttempt = { readonly fault: string; readonly nowMs: number }

export function createMailStore(database: Database): MailStore {
  const mails = database.documents<MailRow>('mails')
  return {
    insert: mails.insert,
    claim: async (id, { nowMs, untilMs }) =>
      await mails.findAndUpdate(
        { _id: id, state: 'Waiting', claimedUntilMs: { $lte: nowMs } },
        { $set: { claimedUntilMs: untilMs, updateTimeMs: nowMs }, $inc: { attempts: 1 } },
      ),
    release: async (id, { fault, nowMs }) => {
      const change = { $set: { claimedUntilMs: 0, fault, updateTimeMs: nowMs } }
      await mails.update({ _id: id, state: 'Waiting' }, change)
    },
    end: async (id, { state, fault, nowMs }) => {
      const sentTimeMs = state === 'Sent' ? nowMs : null
      const end = { state, fault, sentTimeMs, updateTimeMs: nowMs, sealed: null }
      await mails.update({ _id: id, state: 'Waiting' }, { $set: end })
    },
    findIdle: async (beforeMs, limit) =>
      await mails.find(
        { state: 'Waiting', updateTimeMs: { $lt: beforeMs } },
        { sort: { updateTimeMs: 1 }, limit },
      ),
    touch: async (id, nowMs) => {
      await mails.update({ _id: id, state: 'Waiting' }, { $set: { updateTimeMs: nowMs } })
    },
    findEnded: async (beforeMs, limit) =>
      await mails.find(
        { state: { $in: ['Sent', 'Failed'] }, updateTimeMs: { $lt: beforeMs } },
        { limit },
      ),
    remove: async (id) => {
      await mails.remove({ _id: id, state: { $in: ['Sent', 'Failed'] } })
    },
  }
}
