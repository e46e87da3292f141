import type { Clock } from '../../../shared/clock.ts'
import { isLapsed } from '../../../shared/domain/account.ts'
import { budgetExpiryMs, budgetIssueId, type MonthlyBudget } from '../../../shared/domain/budget.ts'
import { accountIdOf } from '../../../shared/domain/caller.ts'
import { type Month, monthOf, nextMonth, previousMonth } from '../../../shared/domain/month.ts'
import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { pagesById } from '../../tasks/pages.ts'
import type { AccountService } from '../accounts/service.ts'
import type { DepartmentRow, DepartmentStore } from '../departments/store.ts'
import { type AlertParts, noteUse, tellUse } from './alerts.ts'
import type { BudgetMonth } from './store.ts'
import { readUsage } from './usage.ts'

export type BudgetParts = AlertParts & {
  readonly accounts: Pick<AccountService, 'issue'>
  readonly departments: Pick<DepartmentStore, 'page'>
  readonly clock: Clock
  readonly log: ItemLog
}

export function budgetTask(parts: BudgetParts): LeaderTask {
  return { name: 'monthly-budgets', everyMs: 60_000, run: async () => await keepBudgets(parts) }
}

/**
 * Issues each department's budget once a month and tells when most of it is used. Each step may be
 * repeated, also by two replicas at once. A month in which the platform never ran is not issued
 * afterwards: nobody could have spent it.
 */
export async function keepBudgets(parts: BudgetParts): Promise<void> {
  const month = monthOf(parts.clock.nowMs())
  const near = [previousMonth(month), month, nextMonth(month)]
  for await (const departments of pagesById(parts.departments.page)) {
    const ids = departments.flatMap(({ _id }) => near.map((one) => budgetIssueId(_id, one)))
    const known = new Map((await parts.months.findMany(ids)).map((row) => [row._id, row]))
    for (const department of departments) {
      const of = (one: Month) => known.get(budgetIssueId(department._id, one))
      const rows = { before: of(near[0] ?? month), now: of(month), after: of(nextMonth(month)) }
      const item = { id: department._id, log: parts.log }
      await serveItem(item, async () => await keepDepartment(parts, { department, month, rows }))
    }
  }
}

type Keeping = {
  readonly department: DepartmentRow
  readonly month: Month
  /** Those that there are of the month and of its neighbours. */
  readonly rows: Readonly<Record<'before' | 'now' | 'after', BudgetMonth | undefined>>
}

async function keepDepartment(parts: BudgetParts, { department, month, rows }: Keeping) {
  if (rows.before !== undefined) await leave(parts, rows.before, rows.now === undefined)
  // The clock went back over the end of a month: what has begun is not left again.
  if (rows.after !== undefined) {
    if (rows.now !== undefined) await tellUse(parts, await noteUse(parts, rows.now, true))
    return
  }
  const seen = rows.now ?? (await begin(parts, department, month))
  const row = await withBudget(parts, seen, department.monthlyBudget)
  if (row.budget === null) return
  if (!row.isIssued) await issue(parts, row, row.budget)
  await tellUse(parts, await noteUse(parts, { ...row, isIssued: true }))
}

/** At the first look after its end, what its last minute brought, unless the rest has lapsed. */
async function leave(parts: BudgetParts, row: BudgetMonth, isFirst: boolean): Promise<void> {
  const { _id: id, budget } = row
  const isThere = budget !== null && !isLapsed({ id, ...budget }, parts.clock.nowMs())
  await tellUse(parts, isFirst && isThere ? await noteUse(parts, row, true) : row)
}

async function begin(
  { accountStore, months, clock }: BudgetParts,
  { _id: department }: DepartmentRow,
  month: Month,
): Promise<BudgetMonth> {
  const _id = budgetIssueId(department, month)
  const query = { department, lotId: _id, nowMs: clock.nowMs() }
  const { totals, own } = await readUsage(accountStore, query)
  return await months.ensure({
    _id,
    department,
    month,
    budget: null,
    isIssued: false,
    spentBeforeMicroCredits: totals.spent,
    revoked: { microCredits: 0, seq: own?.seq ?? 0, ofAllLots: own?.totals.revoked ?? 0 },
    alerts: [],
    told: [],
  })
}

/** What is said first in a month counts for all of it. */
async function withBudget(
  { months }: BudgetParts,
  row: BudgetMonth,
  budget: MonthlyBudget | null,
): Promise<BudgetMonth> {
  if (row.budget !== null || budget === null) return row
  const { microCredits, carryOver } = budget
  const expiresMs = budgetExpiryMs(row.month, carryOver)
  return await months.setBudget(row, { microCredits, expiresMs })
}

async function issue(
  { accounts, months }: BudgetParts,
  row: BudgetMonth,
  { microCredits, expiresMs }: NonNullable<BudgetMonth['budget']>,
): Promise<void> {
  const accountId = accountIdOf({ department: row.department })
  const note = { by: 'monthly-budget', reason: row.month }
  await accounts.issue({ accountId, issueId: row._id, microCredits, expiresMs, note })
  await months.setIssued(row)
}
