import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import { isAllowed, keyScopes, requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError, type FieldError, invalidRequest } from '../../../shared/errors.ts'
import type { ApiKeyRequest, ApiKeyView, NewApiKeyView } from '../../../shared/wire/api-keys.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import type { AuditFacts } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { IdentityChanges } from '../users/identity-changes.ts'
import { newApiKeyText } from './key-text.ts'
import type { ApiKeyRow, ApiKeyStore } from './store.ts'

/** Keys of one person that are good; revoked and expired ones do not count. */
const keysMax = 50

export type ApiKeyService = {
  /** Errors: `request.invalid` for scopes beyond the caller's own, `api_key.limit`. */
  readonly create: (caller: Caller, request: ApiKeyRequest) => Promise<NewApiKeyView>
  /** The caller's own keys, oldest first; revoked ones are gone, expired ones a month later. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<ApiKeyView>>
  /** Ends one of the caller's own keys. Throws `api_key.not_found`. */
  readonly revoke: (caller: Caller, keyId: string) => Promise<void>
}

export type ApiKeyParts = {
  readonly store: ApiKeyStore
  readonly trail: AuditTrail
  readonly changes: Pick<IdentityChanges, 'publish'>
  readonly clock: Clock
  readonly newId: () => string
  readonly randomBytes: RandomBytes
}

export function createApiKeyService(parts: ApiKeyParts): ApiKeyService {
  return {
    create: async (caller, request) => {
      requirePermission(caller, 'api_keys.manage')
      const faults = findFaults(caller, request, parts.clock.nowMs())
      if (faults.length > 0) throw invalidRequest(faults)
      return await create(parts, caller, request)
    },
    list: async (caller, { limit, cursor }) => {
      requirePermission(caller, 'api_keys.manage')
      const afterId = cursor === undefined ? undefined : decodeCursor(cursor)
      const rows = await parts.store.page(caller.userId, { afterId, limit: limit + 1 })
      const { items, next } = toPage(rows, limit, ({ _id }) => _id)
      return { items: items.map(toView), next }
    },
    revoke: async (caller, keyId) => {
      requirePermission(caller, 'api_keys.manage')
      if (await revoke(parts, caller, keyId)) return
      throw new AppError('api_key.not_found', 'you have no API key with this id')
    },
  }
}

function findFaults(caller: Caller, request: ApiKeyRequest, nowMs: number): FieldError[] {
  const faults = request.scopes.flatMap((scope, index) =>
    isAllowed(caller.role, scope)
      ? []
      : [{ path: `/scopes/${index}`, message: 'is not included in your role' }],
  )
  const { expiresTime } = request
  const isPast = expiresTime !== null && Date.parse(expiresTime) <= nowMs
  return isPast ? [...faults, { path: '/expiresTime', message: 'must be in the future' }] : faults
}

async function create(
  parts: ApiKeyParts,
  caller: Caller,
  { name, scopes, expiresTime }: ApiKeyRequest,
): Promise<NewApiKeyView> {
  const { store, trail, clock, newId, randomBytes } = parts
  const { userId } = caller
  if ((await countLive(parts, userId)) >= keysMax) throw tooMany()
  const keyId = newId()
  const { text, hash } = newApiKeyText(keyId, randomBytes)
  const granted = keyScopes.filter((scope) => scopes.includes(scope))
  const after = { name, scopes: granted.join(' '), expiresTime }
  const facts = { action: 'api_key.created', target: targetOf(caller, keyId), after } as const
  const row: ApiKeyRow = {
    _id: keyId,
    userId,
    name,
    hash,
    scopes: granted,
    creationTimeMs: clock.nowMs(),
    expiresMs: expiresTime === null ? null : Date.parse(expiresTime),
    lastUseMs: null,
    revokedMs: null,
    auditOutbox: [trail.entry(caller, facts)],
  }
  if (!(await store.insert(row))) throw new Error('an API key id was made twice')
  await trail.relay(store, row)
  // Others may have been made at the same time: then none of those over the limit stays.
  if ((await countLive(parts, userId)) <= keysMax) return { ...toView(row), key: text }
  await revoke(parts, caller, keyId)
  throw tooMany()
}

async function countLive({ store, clock }: ApiKeyParts, userId: string): Promise<number> {
  return await store.countLive(userId, { nowMs: clock.nowMs(), countMax: keysMax + 1 })
}

function tooMany(): AppError {
  const details = { limit: keysMax }
  return new AppError('api_key.limit', 'revoke a key that you do not use any more', { details })
}

async function revoke(parts: ApiKeyParts, caller: Caller, keyId: string): Promise<boolean> {
  const { store, trail, changes, clock } = parts
  const { userId } = caller
  const facts = { action: 'api_key.revoked', target: targetOf(caller, keyId) } as const
  const audit = trail.entry(caller, facts)
  const row = await store.revoke(keyId, { userId, revokedMs: clock.nowMs(), audit })
  if (row === null) return false
  changes.publish({ kind: 'ApiKey', keyId, userId })
  await trail.relay(store, row)
  return true
}

function targetOf({ department }: Caller, keyId: string): AuditFacts['target'] {
  return { kind: 'ApiKey', id: keyId, department }
}

function toView(row: ApiKeyRow): ApiKeyView {
  const { _id, name, scopes, creationTimeMs, expiresMs, lastUseMs } = row
  return {
    id: _id,
    name,
    scopes: [...scopes],
    creationTime: new Date(creationTimeMs).toISOString(),
    expiresTime: toTime(expiresMs),
    lastUseTime: toTime(lastUseMs),
  }
}

function toTime(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString()
}
