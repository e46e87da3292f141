export type Issue = {
  readonly accountId: string
  /** The same id twice is one issue. */
  readonly issueId: string
  readonly microCredits: number
  readonly expiresMs: number | null
}

export type IssueOutcome =
  /** A repeat tells the time of the first. */
  | { readonly kind: 'Issued'; readonly timeMs: number }
  /** The id was used for another amount or expiry. */
  | { readonly kind: 'Mismatch' }

export type HoldOutcome =
  | { readonly kind: 'Held'; readonly microCredits: number }
  | {
      readonly kind: 'Insufficient'
      readonly missingMicroCredits: number
      readonly availableMicroCredits: number
    }
  | { readonly kind: 'HoldLimit' }
  /** One more would be over the cap that came with the request. */
  | { readonly kind: 'OverCap'; readonly running: number; readonly waiting: number }
  /** The job's hold was settled, voided or expired before. */
  | { readonly kind: 'Ended' }

/** How a hold ended: always the first ending, whoever asks and however often. */
export type EndOutcome =
  | { readonly kind: 'Settled' | 'Voided' | 'Expired'; readonly chargedMicroCredits: number }
  | { readonly kind: 'Unknown' }
