import type { Clock } from '../../../shared/clock.ts'
import { type AlertPercent, alertPercents, reachedAlerts } from '../../../shared/domain/budget.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { AccountStore } from '../accounts/store.ts'
import { findAdmins, findSuperAdmins } from '../departments/admins.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { UserRow, UserStore } from '../users/store.ts'
import { countRevoked } from './revoked.ts'
import type { BudgetAlert, BudgetMonth, BudgetStore } from './store.ts'
import { type DepartmentUsage, readStillUsage, readUsage } from './usage.ts'

export type AlertParts = {
  readonly months: BudgetStore
  readonly accountStore: Pick<AccountStore, 'pageOfDepartment' | 'entriesOf'>
  readonly users: Pick<UserStore, 'page'>
  readonly mailer: Mailer
  readonly notifier: Notifier
  readonly newId: () => string
  readonly clock: Clock
}

/**
 * Notes thresholds that were reached for the first time; the row as it is then. `hasEnded`: a clock
 * was past the month's end, so that some of its budget may have lapsed.
 */
export async function noteUse(
  parts: AlertParts,
  row: BudgetMonth,
  hasEnded = false,
): Promise<BudgetMonth> {
  const { months, accountStore, newId, clock } = parts
  const noted = new Set(row.alerts.map(({ percent }) => percent))
  if (!row.isIssued || noted.size === alertPercents.length) return row
  const reachedBy = async (usage: DepartmentUsage): Promise<readonly AlertPercent[]> =>
    (await reached(parts, row, { usage, hasEnded })).filter((percent) => !noted.has(percent))
  const query = { department: row.department, lotId: row._id, nowMs: clock.nowMs() }
  // A glance is enough to see that nothing is due; only a sum that was true is told of.
  if ((await reachedBy(await readUsage(accountStore, query))).length === 0) return row
  const usage = await readStillUsage(accountStore, query)
  const alerts = (usage === null ? [] : await reachedBy(usage)).map((percent) => {
    return { percent, factId: newId() }
  })
  return alerts.length === 0 ? row : await months.addAlerts(row, alerts)
}

type Seen = { readonly usage: DepartmentUsage; readonly hasEnded: boolean }

async function reached(
  { months, accountStore }: AlertParts,
  row: BudgetMonth,
  { usage, hasEnded }: Seen,
): Promise<readonly AlertPercent[]> {
  const revoked = await countRevoked(accountStore, row, usage.own)
  if (revoked !== row.revoked) await months.setRevoked(row, revoked)
  const budget = (row.budget?.microCredits ?? 0) - revoked.microCredits
  const taken = usage.totals.spent - row.spentBeforeMicroCredits + usage.totals.held
  return reachedAlerts(budget, { ...usage, takenMax: hasEnded ? taken : budget })
}

/**
 * Tells of what was noted. Of two thresholds at once only the higher one is news. Ids follow from
 * the row, so that a repetition after a crash is no second mail.
 */
export async function tellUse(parts: AlertParts, row: BudgetMonth): Promise<void> {
  const untold = row.alerts.filter(({ percent }) => !row.told.includes(percent))
  const highest = untold.toSorted((a, b) => b.percent - a.percent)[0]
  if (highest === undefined) return
  for (const person of await findAddressees(parts, row.department, highest.percent)) {
    await tell(parts, row, { person, alert: highest })
  }
  for (const { percent } of untold) await parts.months.setTold(row, percent)
}

/** When it is used up, super admins as well: only they can issue more. */
async function findAddressees(
  { users }: AlertParts,
  department: string,
  percent: AlertPercent,
): Promise<readonly UserRow[]> {
  const admins = await findAdmins(users, department)
  const superAdmins = percent === 100 ? await findSuperAdmins(users) : []
  return [...new Map([...admins, ...superAdmins].map((one) => [one._id, one])).values()]
}

type Told = { readonly person: UserRow; readonly alert: BudgetAlert }

async function tell(
  { mailer, notifier }: AlertParts,
  { _id, department, month }: BudgetMonth,
  { person: { _id: userId, email: to, language }, alert: { percent, factId } }: Told,
): Promise<void> {
  const values = { department, percent: String(percent), month }
  await mailer.send({
    id: `budget-used:${_id}:${percent}:${userId}`,
    to,
    language,
    content: { template: 'BudgetUsed', ...values },
  })
  await notifier.notify({ id: factId, userId, fact: { kind: 'BudgetUsed', values } })
}
