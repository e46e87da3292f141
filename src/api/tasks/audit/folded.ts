import type { Account } from '../../../shared/domain/account.ts'

export type FoldedLots = Map<
  string,
  { readonly microCredits: number; readonly expiresMs: number | null }
>

/** What an account is, computed from its entries. Only `fold.ts` changes it. */
export type Folded = {
  readonly accountId: string
  readonly lots: FoldedLots
  /** By job id: the pieces of lots that its open hold reserves. */
  readonly holds: Map<string, FoldedLots>
  readonly totals: Record<keyof Account['totals'], number>
}

export function emptyFolded(accountId: string): Folded {
  const totals = {
    issued: 0,
    received: 0,
    available: 0,
    held: 0,
    spent: 0,
    expired: 0,
    sent: 0,
    revoked: 0,
  }
  return { accountId, lots: new Map(), holds: new Map(), totals }
}
