import type { Database } from '../../../platform/mongo/database.ts'

/** That a ticket was used. It is kept until the ticket would have expired anyway. */
type UsedTicket = { readonly _id: string; readonly expiresMs: number }

/** The only writer of the collection `usedTickets`. */
export type UsedTicketStore = {
  /** False when it was used before: of two at the same time, one wins. */
  readonly use: (ticketId: string, expiresMs: number) => Promise<boolean>
  readonly removeExpired: (beforeMs: number) => Promise<number>
}

export function createUsedTicketStore(database: Database): UsedTicketStore {
  const used = database.documents<UsedTicket>('usedTickets')
  return {
    use: async (ticketId, expiresMs) => await used.insert({ _id: ticketId, expiresMs }),
    removeExpired: async (beforeMs) => await used.removeMany({ expiresMs: { $lt: beforeMs } }),
  }
}
