import type { Clock } from '../../../shared/clock.ts'
import { budgetIssueId, budgetUse } from '../../../shared/domain/budget.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { monthOf, nextMonth } from '../../../shared/domain/month.ts'
import { canSee, requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { DepartmentCreditsView } from '../../../shared/wire/department-credits.ts'
import type { AccountStore } from '../accounts/store.ts'
import type { DepartmentStore } from '../departments/store.ts'
import { toBudgetView } from '../departments/view.ts'
import { countRevoked } from './revoked.ts'
import type { BudgetMonth, BudgetStore } from './store.ts'
import { type DepartmentUsage, readUsage } from './usage.ts'

export type DepartmentCreditsService = {
  /**
   * A department's credits at a glance. Errors: `department.not_found`, also for members and for
   * admins of another one.
   */
  readonly get: (caller: Caller, department: string) => Promise<DepartmentCreditsView>
}

export type DepartmentCreditsParts = {
  readonly months: Pick<BudgetStore, 'find'>
  readonly accountStore: Pick<AccountStore, 'pageOfDepartment' | 'entriesOf'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly clock: Clock
}

export function createDepartmentCreditsService(
  parts: DepartmentCreditsParts,
): DepartmentCreditsService {
  const { months, accountStore, departments, clock } = parts
  return {
    get: async (caller, department) => {
      requirePermission(caller, 'credits.read')
      const row = canSee(caller, { department }) ? await departments.find(department) : null
      if (row === null) {
        throw new AppError('department.not_found', `there is no department ${department}`)
      }
      const nowMs = clock.nowMs()
      const month = monthOf(nowMs)
      const query = { department, lotId: budgetIssueId(department, month), nowMs }
      const [known, usage] = await Promise.all([
        months.find(department, month),
        readUsage(accountStore, query),
      ])
      const next = { month: nextMonth(month), budget: toBudgetView(row.monthlyBudget) }
      return {
        department,
        totals: totalsOf(usage),
        thisMonth: { month, ...(await monthView(accountStore, known, usage)) },
        nextMonth: next,
      }
    },
  }
}

function totalsOf({ totals, ownFree, membersFree }: DepartmentUsage) {
  return {
    issued: formatCredits(totals.issued),
    available: formatCredits(ownFree),
    distributed: formatCredits(membersFree),
    held: formatCredits(totals.held),
    spent: formatCredits(totals.spent),
    expired: formatCredits(totals.expired),
    revoked: formatCredits(totals.revoked),
  }
}

/** Before the first look at a month nothing is known of it; what is given back may be earlier's. */
async function monthView(
  accountStore: Pick<AccountStore, 'entriesOf'>,
  known: BudgetMonth | null,
  { totals, lotFree, own }: DepartmentUsage,
): Promise<Omit<DepartmentCreditsView['thisMonth'], 'month'>> {
  const before = known?.spentBeforeMicroCredits ?? totals.spent
  const spent = formatCredits(Math.max(0, totals.spent - before))
  const budget = known?.isIssued === true ? known.budget : null
  if (known === null || budget === null) return { budget: null, used: '0', percent: null, spent }
  const revoked = await countRevoked(accountStore, known, own)
  const { usedMicroCredits, percent } = budgetUse(
    budget.microCredits - revoked.microCredits,
    lotFree,
  )
  const used = formatCredits(usedMicroCredits)
  return { budget: formatCredits(budget.microCredits), used, percent, spent }
}
