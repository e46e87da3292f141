import { invalidRequest } from '../shared/errors.ts'
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
  const page = toPage(keyed, limit, ({ key }) => key)
  return { items: page.items.map(({ item }) => item), next: page.next }
}

/** One page of what was found; a store is asked for `limit + 1`, to know whether there is more. */
export function toPage<Item>(
  found: readonly Item[],
  limit: number,
  keyOf: (item: Item) => string,
): Page<Item> {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  const next = last !== undefined && found.length > limit ? encodeCursor(keyOf(last)) : null
  return { items, next }
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
  throw invalidRequest([{ path: 'cursor', message: 'is not a cursor of this list' }])
}
