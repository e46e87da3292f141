import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import type { SignedIn } from '../../plugins/route-config.ts'
import { openShortMemory } from '../../short-memory.ts'
import type { Callers } from '../users/callers.ts'
import type { IdentityChanges } from '../users/identity-changes.ts'
import { parseApiKey } from './key-text.ts'
import type { ApiKeyRow, ApiKeyStore } from './store.ts'

/** How long a revocation that Redis lost may go unnoticed; spares a read on every request. */
const ageMsMax = 5000
const rememberedMax = 10_000
const useMs = 60_000
/** A stream that a key opened is opened again after this, as one of a session would be. */
const streamMs = 3_600_000

export type VerifyKeyParts = {
  readonly store: Pick<ApiKeyStore, 'find' | 'touch'>
  readonly callers: Callers
  readonly changes: Pick<IdentityChanges, 'listen'>
  readonly clock: Clock
}

/** Throws `auth.invalid_token` for everything but a live key of an active person. */
export type VerifyKey = (text: string) => Promise<SignedIn>

export function createKeyVerifier(parts: VerifyKeyParts): VerifyKey {
  const { callers, clock } = parts
  const findKey = rememberKeys(parts)
  const noteUse = rememberUses(parts)
  return async (text) => {
    const presented = parseApiKey(text)
    const row = presented === null ? null : await findKey(presented.keyId)
    if (row === null || presented?.matches(row.hash) !== true) throw invalid()
    const nowMs = clock.nowMs()
    if (row.revokedMs !== null || (row.expiresMs ?? Infinity) <= nowMs) throw invalid()
    const caller = await callers.find(row.userId)
    await noteUse(row)
    const expiresMs = Math.min(row.expiresMs ?? Infinity, nowMs + streamMs)
    return { caller: { ...caller, scopes: row.scopes, sessionId: null, keyId: row._id }, expiresMs }
  }
}

function invalid(): AppError {
  return new AppError('auth.invalid_token', 'the API key is not valid or has expired')
}

/** Invented ids must not push real ones out. */
function rememberKeys({ store, changes, clock }: VerifyKeyParts) {
  const sizeMax = rememberedMax
  const memory = openShortMemory({ read: store.find, clock, ageMsMax, sizeMax, keepsNull: false })
  changes.listen((change) => {
    if (change.kind === 'ApiKey') memory.forget(change.keyId)
  })
  return memory.get
}

/** Writes the last use at most once a minute for each key. */
function rememberUses({ store, clock }: VerifyKeyParts) {
  const noted = new Map<string, number>()
  return async ({ _id }: ApiKeyRow): Promise<void> => {
    const lastUseMs = clock.nowMs()
    const unlessAfterMs = lastUseMs - useMs
    if ((noted.get(_id) ?? Number.NEGATIVE_INFINITY) > unlessAfterMs) return
    if (noted.size >= rememberedMax) noted.clear()
    noted.set(_id, lastUseMs)
    await store.touch(_id, { lastUseMs, unlessAfterMs })
  }
}
