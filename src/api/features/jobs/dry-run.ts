import type { QuoteView } from '../../../shared/wire/quotes.ts'
import type { AccountService } from '../accounts/service.ts'
import { toQuoteView } from '../quotes/view.ts'
import { type DraftDeps, draftJob, type Wish } from './draft.ts'
import { requireOwnerRoom } from './job-caps.ts'

export type DryRunDeps = DraftDeps & { readonly accounts: Pick<AccountService, 'balanceOf'> }

/** Where no row is ever made. */
const noJob = ''

/**
 * What would become of a request: every check of a submit, and not one write. Too few credits are
 * no error. Errors: those of `draftJob`, `limit.running_jobs`, `limit.queued_jobs`,
 * `credits.queue_full`.
 */
export async function dryRun(deps: DryRunDeps, wish: Wish): Promise<QuoteView> {
  const { row, priced } = await draftJob(deps, wish, noJob)
  await requireOwnerRoom(deps.store, row)
  const { availableMicroCredits } = await deps.accounts.balanceOf(row.accountId)
  return toQuoteView({ priced, availableMicroCredits, quote: null })
}
