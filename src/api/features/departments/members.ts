import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { decodeCursor, encodeCursor } from '../../pages.ts'
import type { UserRow, UserStore } from '../users/store.ts'

/** Guests are few, so a second read is rare; a page may be short when there are very many. */
const readsMax = 20

/** One page of the people of a department, by id: without guests and without who was deleted. */
export async function pageMembers(
  users: Pick<UserStore, 'page'>,
  department: string,
  { limit, cursor }: PageQuery,
): Promise<Page<UserRow>> {
  const members: UserRow[] = []
  let afterId = cursor === undefined ? undefined : decodeCursor(cursor)
  for (let reads = 0; reads < readsMax && members.length <= limit; reads += 1) {
    const rows = await users.page({
      rows: { kind: 'All' },
      department,
      states: ['Active', 'Disabled'],
      afterId,
      limit: limit + 1,
    })
    members.push(...rows.filter(({ role }) => role !== 'guest'))
    afterId = rows.length > limit ? rows.at(-1)?._id : undefined
    if (afterId === undefined) break
  }
  const items = members.slice(0, limit)
  const lastId = members.length > limit ? items.at(-1)?._id : afterId
  return { items, next: lastId === undefined ? null : encodeCursor(lastId) }
}
