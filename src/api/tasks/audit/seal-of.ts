import { createHash } from 'node:crypto'
import type { Entry } from '../../../shared/domain/account-entry.ts'

/**
 * The hash that an entry must have: SHA-256 of all its other fields as JSON with sorted names,
 * written here a second time (see `fold.ts`).
 */
export function sealOf({ hash: _hash, ...fields }: Entry): string {
  return createHash('sha256').update(JSON.stringify(fields, sortNames)).digest('hex')
}

/** For `JSON.stringify`, which keeps the order of names in which an object was filled. */
function sortNames(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
