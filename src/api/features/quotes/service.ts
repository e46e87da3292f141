import { assert } from '../../../shared/assert.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { newJobId, type RandomBytes } from '../../../shared/domain/job-id.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import type { QuoteView } from '../../../shared/wire/quotes.ts'
import type { AccountService } from '../accounts/service.ts'
import { checkWish, type DraftDeps } from '../jobs/draft.ts'
import { requestHashOf } from './bind.ts'
import type { QuoteRow, QuoteStore } from './store.ts'
import { toQuoteView } from './view.ts'

export const quoteLifeMs = 600_000

export type QuoteService = {
  /**
   * The price of a request, promised for ten minutes to who asked; it holds nothing. Too few
   * credits and a full queue are no errors. Errors: `model.not_found`, `request.invalid`,
   * `auth.forbidden`.
   */
  readonly create: (caller: Caller, request: JobRequest) => Promise<QuoteView>
}

export type QuoteServiceDeps = DraftDeps & {
  readonly quotes: QuoteStore
  readonly accounts: Pick<AccountService, 'balanceOf'>
  readonly randomBytes: RandomBytes
}

export function createQuoteService(deps: QuoteServiceDeps): QuoteService {
  return {
    create: async (caller, request) => {
      requirePermission(caller, 'jobs.create')
      const { priced } = await checkWish(deps, { caller, request })
      const owner = { department: caller.department, user: caller.userId }
      const { availableMicroCredits } = await deps.accounts.balanceOf(accountIdOf(owner))
      const { microCredits, breakdown } = priced
      const nowMs = deps.clock.nowMs()
      const quote: QuoteRow = {
        _id: newJobId(nowMs, deps.randomBytes),
        owner,
        requestHash: requestHashOf(request),
        priced: { microCredits, breakdown },
        expiresMs: nowMs + quoteLifeMs,
      }
      assert(await deps.quotes.insert(quote), 'an id with 80 random bits is new')
      return toQuoteView({ priced, availableMicroCredits, quote })
    },
  }
}
