import { formatCredits, type Priced, type PriceLine } from '../../../shared/domain/price.ts'
import type { QuoteView } from '../../../shared/wire/quotes.ts'

export type Offer = {
  readonly priced: Priced
  readonly availableMicroCredits: number
  /** Null for an offer that binds nobody. */
  readonly quote: { readonly _id: string; readonly expiresMs: number } | null
}

/** A price beside what its payer has. Too little is no error here. */
export function toQuoteView({ priced, availableMicroCredits, quote }: Offer): QuoteView {
  const afterMicroCredits = availableMicroCredits - priced.microCredits
  return {
    id: quote?._id ?? null,
    price: formatCredits(priced.microCredits),
    breakdown: priced.breakdown.map(toLine),
    available: formatCredits(availableMicroCredits),
    balanceAfter: formatCredits(afterMicroCredits),
    ...(afterMicroCredits < 0 ? { missing: formatCredits(-afterMicroCredits) } : {}),
    expiresTime: quote === null ? null : new Date(quote.expiresMs).toISOString(),
  }
}

function toLine(line: PriceLine): QuoteView['breakdown'][number] {
  const { name, quantity, rateMicroCredits, microCredits } = line
  return {
    name,
    quantity,
    rate: formatCredits(rateMicroCredits),
    price: formatCredits(microCredits),
  }
}
