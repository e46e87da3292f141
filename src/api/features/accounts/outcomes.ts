import type { Shortfall } from '../../../shared/domain/account-change.ts'
import type { Entry, EntryNote } from '../../../shared/domain/account-entry.ts'
import type { Recipient } from '../../../shared/domain/account-movement.ts'

export type Issue = {
  readonly accountId: string
  /** The same id twice is one issue. */
  readonly issueId: string
  readonly microCredits: number
  readonly expiresMs: number | null
  readonly note?: EntryNote | undefined
}

export type IssueOutcome =
  /** A repeat tells the time of the first. */
  | { readonly kind: 'Issued'; readonly timeMs: number }
  /** The id was used for another amount or expiry. */
  | { readonly kind: 'Mismatch' }
  | { readonly kind: 'TooManyLots' }

export type Transfer = {
  /** The same id twice is one transfer. */
  readonly transferId: string
  readonly kind: 'Distribute' | 'Revoke'
  readonly accountId: string
  readonly recipients: readonly Recipient[]
  readonly note?: EntryNote | undefined
}

/** Takes back what is free, or as much of it as there is up to an amount. */
export type Recall = Pick<Transfer, 'transferId' | 'accountId' | 'note'> & {
  /** Null: to the system. */
  readonly to: string | null
  readonly microCreditsMax: number
}

export type TransferOutcome =
  /** `sent` is null when there was nothing to move; a repeat gives that of the first. */
  | { readonly kind: 'Moved'; readonly microCredits: number; readonly sent: Entry | null }
  | Shortfall
  /** The id was used for other recipients or amounts. */
  | { readonly kind: 'Mismatch' }

export type Adjustment = {
  readonly accountId: string
  readonly entryId: string
  readonly microCredits: number
  readonly expiresMs: number | null
  readonly note: EntryNote
}

export type AdjustOutcome =
  /** A repeat tells the time of the first. */
  | { readonly kind: 'Adjusted'; readonly timeMs: number }
  | { readonly kind: 'UnknownEntry' }
  /** More than the entry took; `takenMicroCredits` is 0 where nothing can be given back. */
  | { readonly kind: 'TooMuch'; readonly takenMicroCredits: number }
  /** The entry was adjusted by another amount or expiry. */
  | { readonly kind: 'Mismatch' }

export type HoldOutcome =
  | { readonly kind: 'Held'; readonly microCredits: number }
  | Shortfall
  | { readonly kind: 'HoldLimit' }
  /** One more would be over the cap that came with the request. */
  | { readonly kind: 'OverCap'; readonly running: number; readonly waiting: number }
  /** The job's hold was settled, voided or expired before. */
  | { readonly kind: 'Ended' }

/** How a hold ended: always the first ending, whoever asks and however often. */
export type EndOutcome =
  | { readonly kind: 'Settled' | 'Voided' | 'Expired'; readonly chargedMicroCredits: number }
  | { readonly kind: 'Unknown' }
