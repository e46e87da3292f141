import type { Caller } from '../../../shared/domain/caller.ts'
import type {
  AdjustmentRequest,
  AdjustmentView,
  BalanceView,
  DistributionRequest,
  DistributionView,
  IssueRequest,
  RevocationRequest,
  RevocationView,
} from '../../../shared/wire/credits.ts'
import { makeAdjustment } from './adjustments.ts'
import { makeDistribution } from './distributions.ts'
import { makeIssue } from './issues.ts'
import type { LedgerReader } from './ledger-reader.ts'
import type { MovementParts } from './movement-parts.ts'
import { makeRevocation } from './revocations.ts'

/** Who asks for a movement of credits. The same key and body again move nothing. */
type Wish<Request> = {
  readonly caller: Caller
  /** The client's `Idempotency-Key`. */
  readonly key: string
  readonly request: Request
}

/** The movements of credits that people ask for; their errors are at each function. */
export type CreditMovements = {
  readonly issue: (wish: Wish<IssueRequest>) => Promise<BalanceView>
  readonly distribute: (wish: Wish<DistributionRequest>) => Promise<DistributionView>
  readonly revoke: (wish: Wish<RevocationRequest>) => Promise<RevocationView>
  readonly adjust: (wish: Wish<AdjustmentRequest>) => Promise<AdjustmentView>
}

export function createCreditMovements(
  parts: MovementParts & { readonly ledger: Pick<LedgerReader, 'find'> },
): CreditMovements {
  return {
    issue: async (wish) => await makeIssue(parts, wish),
    distribute: async (wish) => await makeDistribution(parts, wish),
    revoke: async (wish) => await makeRevocation(parts, wish),
    adjust: async (wish) => await makeAdjustment(parts, wish),
  }
}
