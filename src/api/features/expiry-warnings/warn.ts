import type { Clock } from '../../../shared/clock.ts'
import { sumOf } from '../../../shared/domain/account.ts'
import { type AccountOwner, accountOwnerOf } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { pagesById } from '../../tasks/pages.ts'
import { hasLeft } from '../accounts/leave.ts'
import type { AccountDocument, AccountStore } from '../accounts/store.ts'
import { findAdmins } from '../departments/admins.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { UserRow, UserStore } from '../users/store.ts'
import {
  dayEndMs,
  dayOf,
  type Expiring,
  expiringLots,
  isUnwarned,
  isUrgent,
  rememberWarned,
} from './decide.ts'
import type { WarningRow, WarningStore } from './store.ts'

export type WarningParts = {
  readonly warnings: WarningStore
  readonly accountStore: Pick<AccountStore, 'page'>
  readonly users: Pick<UserStore, 'page' | 'findMany'>
  readonly mailer: Mailer
  readonly notifier: Notifier
  readonly newId: () => string
  readonly clock: Clock
  readonly log: ItemLog
}

const everyMs = 600_000

export function expiryWarningTask(parts: WarningParts): LeaderTask {
  return { name: 'expiry-warnings', everyMs, run: async () => await warnOfExpiry(parts) }
}

/**
 * Tells owners of credits that lapse soon: members of theirs, admins of their department's. Each
 * lot is told of once a stage, and each account once a day; lots that come up meanwhile are in the
 * next day's mail, unless they lapse before it.
 */
export async function warnOfExpiry(parts: WarningParts): Promise<void> {
  const { accountStore, log } = parts
  const pages = pagesById(async ({ afterId, limit }) => await accountStore.page(afterId, limit))
  for await (const page of pages) {
    for (const ending of await gather(parts, page)) {
      const item = { id: ending.accountId, log }
      await serveItem(item, async () => await warn(parts, ending))
    }
  }
}

/** An account on which something lapses soon. */
type EndingAccount = {
  readonly accountId: string
  readonly owner: AccountOwner
  /** Null for a department's account. */
  readonly person: UserRow | null
  readonly lots: readonly Expiring[]
  readonly row: WarningRow | undefined
}

/** One query each for all people and all warnings of a page. */
async function gather(
  { warnings, users, clock }: WarningParts,
  accounts: readonly AccountDocument[],
): Promise<readonly EndingAccount[]> {
  const nowMs = clock.nowMs()
  const ending = accounts.flatMap((account) => {
    const owner = accountOwnerOf(account._id)
    const lots = expiringLots(account.lots, nowMs)
    return owner === null || lots.length === 0 ? [] : [{ accountId: account._id, owner, lots }]
  })
  const userIds = new Set(ending.flatMap(({ owner: { user } }) => user ?? []))
  const people = new Map((await users.findMany([...userIds])).map((one) => [one._id, one]))
  const rows = await warnings.findMany(ending.map(({ accountId }) => accountId))
  const byId = new Map(rows.map((row) => [row._id, row]))
  return ending.map((one) => {
    const person = people.get(one.owner.user ?? '') ?? null
    return { ...one, person, row: byId.get(one.accountId) }
  })
}

/** First what a crash left, then what is new. */
async function warn(parts: WarningParts, ending: EndingAccount): Promise<void> {
  const { warnings, newId, clock } = parts
  const { accountId, lots, row } = ending
  const addressees = await findAddressees(parts, ending)
  if (addressees.length === 0) return
  if (row?.isTold === false) await tell(parts, row, { ending, addressees })
  const nowMs = clock.nowMs()
  const day = dayOf(nowMs)
  if (!isDue(row, lots, nowMs)) return
  const next = {
    _id: accountId,
    warned: rememberWarned(row?.warned ?? [], lots, nowMs),
    factId: newId(),
    day,
    lots,
    isTold: false,
  }
  if (await warnings.replace(row, next)) await tell(parts, next, { ending, addressees })
}

function isDue(row: WarningRow | undefined, lots: readonly Expiring[], nowMs: number): boolean {
  if (row === undefined) return true
  const { day, warned } = row
  if (day >= dayOf(nowMs)) return isUrgent(lots, warned, dayEndMs(day) + everyMs)
  return lots.some((lot) => isUnwarned(lot, warned))
}

/** Nobody for who has left or may not sign in: who comes back is told then. */
async function findAddressees(
  { users }: WarningParts,
  { owner: { department, user }, person }: EndingAccount,
): Promise<readonly UserRow[]> {
  if (user === undefined) return await findAdmins(users, department)
  const isMember = person?.state === 'Active' && !hasLeft(person, department)
  return isMember ? [person] : []
}

type Telling = { readonly ending: EndingAccount; readonly addressees: readonly UserRow[] }

/** Ids follow from the row, so that a repetition after a crash is no second mail. */
async function tell(
  { warnings, mailer, notifier }: WarningParts,
  row: WarningRow,
  { ending: { owner }, addressees }: Telling,
): Promise<void> {
  const { department, user } = owner
  const template = user === undefined ? 'DepartmentCreditsExpire' : 'CreditsExpire'
  const lots = row.lots.map(({ microCredits, expiresMs }) => {
    return { credits: formatCredits(microCredits), time: timeText(expiresMs) }
  })
  const values = {
    department,
    account: user === undefined ? 'Department' : 'Member',
    credits: formatCredits(sumOf(row.lots)),
    expiresTime: new Date(Math.min(...row.lots.map(({ expiresMs }) => expiresMs))).toISOString(),
  }
  for (const { _id: userId, email: to, language } of addressees) {
    const id = `credits-expire:${row.factId}:${userId}`
    await mailer.send({ id, to, language, content: { template, department, lots } })
    await notifier.notify({ id: row.factId, userId, fact: { kind: 'CreditsExpire', values } })
  }
  await warnings.setTold(row)
}

/** Such as `2026-11-30 09:00 UTC`. */
function timeText(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
