import type { Clock } from '../../../shared/clock.ts'
import {
  type AuditEntry,
  auditEntry,
  type AuditFacts,
  type AuditOutbox,
  type NewAuditEntry,
} from './entry.ts'
import type { AuditLogStore } from './store.ts'

/** A collection whose documents carry an audit outbox. */
export type OutboxStore = {
  readonly findUnrelayed: (
    limit: number,
  ) => Promise<readonly (AuditOutbox & { readonly _id: string })[]>
  readonly dropFromOutbox: (id: string, entryIds: readonly string[]) => Promise<void>
}

/** How services write the audit log. */
export type AuditTrail = {
  /** An entry to be put into the outbox of the document that changes. */
  readonly entry: (by: NewAuditEntry['by'], facts: AuditFacts) => AuditEntry
  /** Takes the outbox of a document that was just written to the log; the sweep does it otherwise. */
  readonly relay: (
    store: OutboxStore,
    document: AuditOutbox & { readonly _id: string },
  ) => Promise<void>
  /** Writes an entry that belongs to no document, such as a refused sign-in. */
  readonly append: (by: NewAuditEntry['by'], facts: AuditFacts) => Promise<void>
}

export type AuditTrailParts = {
  readonly store: AuditLogStore
  readonly clock: Clock
  readonly newId: () => string
}

export function createAuditTrail({ store, clock, newId }: AuditTrailParts): AuditTrail {
  const entry: AuditTrail['entry'] = (by, facts) =>
    auditEntry({ id: newId(), nowMs: clock.nowMs(), by }, facts)
  return {
    entry,
    relay: async (outboxes, document) => await relay(store, outboxes, document),
    append: async (by, facts) => await store.append([entry(by, facts)]),
  }
}

const relayMax = 200

/** Finishes what a crash left between a change and its entry in the log. */
export async function relayOutboxes(
  store: AuditLogStore,
  outboxes: readonly OutboxStore[],
): Promise<void> {
  for (const one of outboxes) {
    for (const document of await one.findUnrelayed(relayMax)) await relay(store, one, document)
  }
}

/** First the log, then the outbox: a crash between them repeats the copy, which changes nothing. */
async function relay(
  store: AuditLogStore,
  outboxes: OutboxStore,
  { _id, auditOutbox }: AuditOutbox & { readonly _id: string },
): Promise<void> {
  if (auditOutbox.length === 0) return
  await store.append(auditOutbox)
  await outboxes.dropFromOutbox(
    _id,
    auditOutbox.map((entry) => entry._id),
  )
}
