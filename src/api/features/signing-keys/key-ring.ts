import { type CryptoKey, importJWK } from 'jose'
import { z } from 'zod'
import { assert } from '../../../shared/assert.ts'
import { isAppError } from '../../../shared/errors.ts'
import { ensureSigningKey, type RotationParts, sealPurpose } from './rotate.ts'
import { signerAt, verifiersAt } from './schedule.ts'
import type { PublicJwk, SigningKeyRow } from './store.ts'

export const signingAlgorithm = 'EdDSA'
/** How long a key that another replica made or retired may go unnoticed. */
const ageMsMax = 60_000
/** Tokens with invented key ids must not make us ask the database each time. */
const unknownKeyMs = 5000

const privateJwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string(),
  d: z.string(),
})

export type Signer = { readonly keyId: string; readonly privateKey: CryptoKey }

/** The keys of all replicas. All throw `platform.unavailable` while none have been read. */
export type KeyRing = {
  /** The key that signs now. */
  readonly signer: () => Promise<Signer>
  /** The public key of a `kid`; null for one that is unknown or has retired. */
  readonly find: (keyId: string) => Promise<CryptoKey | null>
  /** What `/.well-known/jwks.json` shows. */
  readonly published: () => Promise<readonly PublishedKey[]>
}

export type PublishedKey = PublicJwk & {
  readonly kid: string
  readonly alg: typeof signingAlgorithm
  readonly use: 'sig'
}

/** Makes the first key when there is none. Errors: `platform.misconfigured` for another seal. */
export async function openKeyRing(parts: RotationParts): Promise<KeyRing> {
  await ensureSigningKey(parts)
  const { clock, seal } = parts
  const rows = rememberRows(parts)
  const importOnce = rememberImports()
  const ring: KeyRing = {
    signer: async () => {
      const row = signerAt(await rows(ageMsMax), clock.nowMs())
      assert(row !== undefined, 'the newest key never retires')
      const { keyId } = row
      const open = () =>
        privateJwk.parse(JSON.parse(seal.open(sealPurpose(keyId), row.sealedPrivateKey)))
      return { keyId, privateKey: await importOnce(`private ${keyId}`, open) }
    },
    find: async (keyId) => {
      const row =
        findIn(verifiersAt(await rows(ageMsMax), clock.nowMs()), keyId) ??
        findIn(verifiersAt(await rows(unknownKeyMs), clock.nowMs()), keyId)
      return row === undefined ? null : await importOnce(keyId, () => row.publicJwk)
    },
    published: async () =>
      verifiersAt(await rows(ageMsMax), clock.nowMs()).map(({ publicJwk, keyId }) => ({
        ...publicJwk,
        kid: keyId,
        alg: signingAlgorithm,
        use: 'sig',
      })),
  }
  await ring.signer()
  return ring
}

function findIn(rows: readonly SigningKeyRow[], keyId: string): SigningKeyRow | undefined {
  return rows.find((row) => row.keyId === keyId)
}

type ReadRows = (ageMs: number) => Promise<readonly SigningKeyRow[]>

/** Rows that are no older than asked for; while the database is away the last ones go on. */
function rememberRows({ store, clock }: RotationParts): ReadRows {
  let known: readonly SigningKeyRow[] = []
  let triedMs = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | null = null
  const read = async (): Promise<void> => {
    triedMs = clock.nowMs()
    try {
      known = await store.list()
    } catch (error) {
      if (known.length === 0 || !isAppError(error, 'platform.unavailable')) throw error
    } finally {
      reading = null
    }
  }
  return async (ageMs) => {
    if (known.length === 0 || clock.nowMs() - triedMs >= ageMs) reading ??= read()
    if (reading !== null) await reading
    return known
  }
}

type ImportOnce = (name: string, jwk: () => PublicJwk) => Promise<CryptoKey>

/** Keys never change: each is imported once. */
function rememberImports(): ImportOnce {
  const imported = new Map<string, CryptoKey>()
  return async (name, jwk) => {
    const known = imported.get(name)
    if (known !== undefined) return known
    const key = await importJWK({ ...jwk() }, signingAlgorithm)
    assert(!(key instanceof Uint8Array), 'an Ed25519 key is asymmetric')
    imported.set(name, key)
    return key
  }
}
