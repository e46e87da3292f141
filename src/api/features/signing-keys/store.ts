import type { Database } from '../../../platform/mongo/database.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'

/** RFC 8037. */
export type PublicJwk = { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }

/**
 * An Ed25519 key that signs access tokens. `_id` is its number, so that of two replicas that make
 * the next key at the same time only one can.
 */
export type SigningKeyRow = AuditOutbox & {
  readonly _id: string
  /** RFC 7638 thumbprint: the `kid` of its tokens. */
  readonly keyId: string
  readonly publicJwk: PublicJwk
  /** The private JWK, closed by the seal. */
  readonly sealedPrivateKey: string
  readonly creationTimeMs: number
  /** It is published before it signs, so that whoever verifies knows it in time. */
  readonly activeFromMs: number
  /** Null: it retires when the tokens that it signed have ended. */
  readonly retireMs: number | null
}

/** The only writer of the collection `signingKeys`. */
export type SigningKeyStore = OutboxStore & {
  /** In order of their numbers. */
  readonly list: () => Promise<readonly SigningKeyRow[]>
  /** False when another replica made a key of this number. */
  readonly insert: (row: SigningKeyRow) => Promise<boolean>
  /** Ends a key before its time; null when it has an end. */
  readonly retire: (
    id: string,
    retireMs: number,
    audit: AuditEntry,
  ) => Promise<SigningKeyRow | null>
  /** Only one whose audit entries have been taken away. */
  readonly remove: (id: string) => Promise<void>
}

const keysMax = 1000

export function createSigningKeyStore(database: Database): SigningKeyStore {
  const keys = database.documents<SigningKeyRow>('signingKeys')
  return {
    ...openOutboxes(database, 'signingKeys'),
    list: async () => await keys.find({}, { sort: { _id: 1 }, limit: keysMax }),
    insert: keys.insert,
    retire: async (id, retireMs, audit) =>
      await keys.findAndUpdate(
        { _id: id, retireMs: null },
        { $set: { retireMs }, $push: { auditOutbox: audit } },
      ),
    remove: async (id) => {
      await keys.remove({ _id: id, auditOutbox: { $size: 0 } })
    },
  }
}
