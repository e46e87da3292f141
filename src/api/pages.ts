import { AppError } from '../shared/errors.ts'
import type { Page, PageQuery } from '../shared/wire/pages.ts'

/** One page of a list that is in memory: ordered by a text key that never changes for an item. */
export function pageOf<Item>(
  items: readonly Item[],
  { limit, cursor }: PageQuery,
  keyOf: (item: Item) => string,
): Page<Item> {
  const after = cursor === undefined ? null : decodeCursor(cursor)
  const keyed = items
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === null || key > after)
    .toSorted((left, right) => (left.key < right.key ? -1 : 1))
  const page = keyed.slice(0, limit)
  const last = page.at(-1)
  const next = last !== undefined && keyed.length > limit ? encodeCursor(last.key) : null
  return { items: page.map(({ item }) => item), next }
}

/** Where a page ended, opaque to clients: the key of its last item. */
export function encodeCursor(key: string): string {
  return Buffer.from(`>${key}`).toString('base64url')
}

/** Errors: `request.invalid` naming `cursor`. */
export function decodeCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString()
  const isOurs = text.startsWith('>') && encodeCursor(text.slice(1)) === cursor
  if (isOurs) return text.slice(1)
  const fields = [{ path: 'cursor', message: 'is not a cursor of this list' }]
  throw new AppError('request.invalid', 'not valid: cursor', { fields })
}
