import { calculateJwkThumbprint } from 'jose'
import { generateKeyPairSync } from 'node:crypto'
import type { Seal } from '../../../platform/seal/seal.ts'
import { assert } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { NewAuditEntry } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import { publishAheadMs, retireMsOf } from './schedule.ts'
import type { PublicJwk, SigningKeyRow, SigningKeyStore } from './store.ts'

export type RotationParts = {
  readonly store: SigningKeyStore
  readonly seal: Seal
  readonly trail: AuditTrail
  readonly clock: Clock
}

const dayMs = 86_400_000

/** Makes the first key when there is none; safe when several replicas start at once. */
export async function ensureSigningKey(parts: RotationParts): Promise<void> {
  if ((await parts.store.list()).length > 0) return
  const activeFromMs = parts.clock.nowMs()
  await addKey(parts, { number: 1, activeFromMs, by: 'api' })
}

/** The next key when the newest is older than so many days. */
export async function rotateWhenDue(parts: RotationParts, days: number): Promise<void> {
  const newest = (await parts.store.list()).at(-1)
  const nowMs = parts.clock.nowMs()
  if (newest !== undefined && nowMs < newest.creationTimeMs + days * dayMs) return
  const number = newest === undefined ? 1 : Number(newest._id) + 1
  await addKey(parts, { number, activeFromMs: nowMs + publishAheadMs, by: 'rotate-signing-keys' })
}

export type RotateNow = {
  readonly by: NewAuditEntry['by']
  /**
   * Keeps every token of the old keys from being accepted, as after a theft: the new key signs at
   * once, and everybody has to refresh. Other replicas follow within a minute.
   */
  readonly revokeOld: boolean
}

/** Makes the next key now. Returns its `kid`. Safe to repeat: each time makes another key. */
export async function rotateSigningKey(parts: RotationParts, wish: RotateNow): Promise<string> {
  const { store, trail, clock } = parts
  const nowMs = clock.nowMs()
  const old = await store.list()
  const number = Number(old.at(-1)?._id ?? 0) + 1
  const activeFromMs = wish.revokeOld ? nowMs : nowMs + publishAheadMs
  const keyId = await addKey(parts, { number, activeFromMs, by: wish.by })
  if (!wish.revokeOld) return keyId
  for (const { _id, keyId: oldId } of old) {
    const target = targetOf(oldId)
    const facts = { action: 'signing_key.rotated', target, after: { retired: true } } as const
    const row = await store.retire(_id, nowMs, trail.entry(wish.by, facts))
    if (row !== null) await trail.relay(store, row)
  }
  return keyId
}

/** Takes keys away that retired more than a day ago. The newest never retires. */
export async function removeRetired({ store, clock }: RotationParts): Promise<void> {
  const rows = await store.list()
  const beforeMs = clock.nowMs() - dayMs
  const gone = rows.slice(0, -1).filter((_, index) => retireMsOf(rows, index) < beforeMs)
  for (const { _id } of gone) await store.remove(_id)
}

export function sealPurpose(keyId: string): string {
  return `signing-key ${keyId}`
}

type NewKey = {
  readonly number: number
  readonly activeFromMs: number
  readonly by: NewAuditEntry['by']
}

/** The `kid` of the key of this number: whoever comes second finds one as good as its own. */
async function addKey(
  { store, seal, trail, clock }: RotationParts,
  { number, activeFromMs, by }: NewKey,
): Promise<string> {
  const { publicJwk, privateJwk } = generateKey()
  const keyId = await calculateJwkThumbprint(publicJwk)
  const facts = { action: 'signing_key.rotated', target: targetOf(keyId) } as const
  const row: SigningKeyRow = {
    _id: String(number).padStart(8, '0'),
    keyId,
    publicJwk,
    sealedPrivateKey: seal.close(sealPurpose(keyId), JSON.stringify(privateJwk)),
    creationTimeMs: clock.nowMs(),
    activeFromMs,
    retireMs: null,
    auditOutbox: [trail.entry(by, facts)],
  }
  if (await store.insert(row)) {
    await trail.relay(store, row)
    return keyId
  }
  const stored = (await store.list()).find(({ _id }) => _id === row._id)
  assert(stored !== undefined, 'a number that is taken has a key')
  return stored.keyId
}

function generateKey() {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const publicJwk: PublicJwk = { kty: 'OKP', crv: 'Ed25519', x: jwk.x ?? '' }
  return { publicJwk, privateJwk: { ...publicJwk, d: jwk.d } }
}

function targetOf(keyId: string) {
  return { kind: 'SigningKey', id: keyId, department: null }
}
