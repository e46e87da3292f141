import { sumOf, usableLots } from '../../../shared/domain/account.ts'
import { accountIdOf, accountOwnerOf, type Caller } from '../../../shared/domain/caller.ts'
import { canSee, requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import type { AccountsQuery, AccountSummary } from '../../../shared/wire/ledger.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import { decodeCursor, encodeCursor } from '../../pages.ts'
import type { UserRow } from '../users/store.ts'
import type { AccountViewParts } from './account-views.ts'
import { requireDepartment } from './movement-parts.ts'
import type { AccountDocument } from './store.ts'

type People = ReadonlyMap<string, UserRow>
type Accounts = ReadonlyMap<string, AccountDocument>

/**
 * The accounts of a department: first its own, then those of its members and former members by id.
 * A member who never had credits has an empty one. Members see their own only. Pages may be
 * shorter than asked for. Errors: `department.not_found`, `request.invalid` for a foreign cursor.
 */
export async function listAccounts(
  parts: AccountViewParts,
  caller: Caller,
  { department = caller.department, limit, cursor }: AccountsQuery,
): Promise<Page<AccountSummary>> {
  requirePermission(caller, 'credits.read')
  await requireDepartment(parts, caller, department)
  if (!canSee(caller, { department })) return await listOwn(parts, caller)
  const after = cursor === undefined ? null : decodeCursor(cursor)
  const found = await findAfter(parts, department, { after, limit: limit + 1 })
  const keys = found.keys.slice(0, limit)
  const last = keys.length < found.keys.length ? keys.at(-1) : found.horizon
  const people = await findPeople(parts, keys, found.people)
  const items = keys.map((user) =>
    summarise({ department, user, people, accounts: found.accounts }, parts.clock.nowMs()),
  )
  return { items, next: last === undefined ? null : encodeCursor(last) }
}

async function listOwn(
  { accountStore, users, clock }: AccountViewParts,
  { department, userId: user }: Caller,
): Promise<Page<AccountSummary>> {
  const { account, outbox } = await accountStore.read(accountIdOf({ department, user }))
  const person = await users.find(user)
  const people = new Map(person === null ? [] : [[user, person]])
  const accounts = new Map([[user, { ...account, outbox }]])
  return { items: [summarise({ department, user, people, accounts }, clock.nowMs())], next: null }
}

/** The department's own account stands before all ids of people. */
const ownKey = ''

type Found = {
  readonly keys: readonly string[]
  readonly accounts: Accounts
  readonly people: People
  /** Up to here both lists were read; undefined when both were read to their ends. */
  readonly horizon: string | undefined
}

/** Accounts without a member and members without an account, both in the order of people's ids. */
async function findAfter(
  { accountStore, users }: AccountViewParts,
  department: string,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<Found> {
  const afterId = after === null ? '' : accountIdOf({ department, user: after })
  const afterUser = after === null || after === ownKey ? {} : { afterId: after }
  const query = { rows: { kind: 'All' }, states: ['Active', 'Disabled'], department } as const
  const [documents, rows] = await Promise.all([
    accountStore.pageOfDepartment(department, { afterId, limit }),
    users.page({ ...query, ...afterUser, limit }),
  ])
  const accounts = new Map(documents.map((one) => [accountOwnerOf(one._id)?.user ?? ownKey, one]))
  const people = new Map(rows.map((one) => [one._id, one]))
  const ends = [
    ...(documents.length < limit ? [] : [[...accounts.keys()].at(-1) ?? ownKey]),
    ...(rows.length < limit ? [] : [rows.at(-1)?._id ?? ownKey]),
  ]
  const horizon = ends.toSorted()[0]
  const members = rows.filter(({ role }) => role !== 'guest').map(({ _id }) => _id)
  const all = new Set([...(after === null ? [ownKey] : []), ...accounts.keys(), ...members])
  const keys = [...all].filter((key) => horizon === undefined || key <= horizon).toSorted()
  return { keys, accounts, people, horizon }
}

/** Those who have left are not among the department's people. */
async function findPeople(
  { users }: AccountViewParts,
  keys: readonly string[],
  known: People,
): Promise<People> {
  const others = keys.filter((key) => key !== ownKey && !known.has(key))
  const found = await users.findMany(others)
  return new Map([...known, ...found.map((one) => [one._id, one] as const)])
}

type Summary = {
  readonly department: string
  readonly user: string
  readonly people: People
  readonly accounts: Accounts
}

function summarise({ department, user, people, accounts }: Summary, nowMs: number): AccountSummary {
  const account = accounts.get(user)
  const person = people.get(user)
  return {
    department,
    user: user === ownKey ? null : user,
    kind: user === ownKey ? 'Department' : kindOf(person, department),
    name: nameOf(person),
    available: formatCredits(account === undefined ? 0 : sumOf(usableLots(account, nowMs))),
    held: formatCredits(account?.totals.held ?? 0),
    spent: formatCredits(account?.totals.spent ?? 0),
  }
}

function kindOf(person: UserRow | undefined, department: string): 'Member' | 'FormerMember' {
  const isHere = person?.department === department && person.role !== 'guest'
  return isHere && person.state !== 'Deleted' ? 'Member' : 'FormerMember'
}

/** A removed person has none. */
export function nameOf(person: Pick<UserRow, 'name'> | undefined): string | null {
  return person === undefined || person.name === '' ? null : person.name
}
