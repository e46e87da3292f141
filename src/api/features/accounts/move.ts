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
import type { Wish } from './move-once.ts'
import type { MovementParts } from './movement-parts.ts'
import { makeRevocation } from './revocations.ts'

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
