import type { Database } from '../../../platform/mongo/database.ts'
import { budgetIssueId, type AlertPercent } from '../../../shared/domain/budget.ts'
import type { Month } from '../../../shared/domain/month.ts'

/** What was decided for one month: a budget that is changed later counts from the next one. */
export type IssuedBudget = { readonly microCredits: number; readonly expiresMs: number }

/** What super admins took back of a month's budget; integer micro-credits. */
export type Revoked = {
  readonly microCredits: number
  /** Up to this entry of the department's account, which had revoked so much of all lots by then. */
  readonly seq: number
  readonly ofAllLots: number
}

export type BudgetAlert = {
  readonly percent: AlertPercent
  /** Id of the fact, for notifications. */
  readonly factId: string
}

/** One department in one month. `_id` is the id of the issue as well. */
export type BudgetMonth = {
  readonly _id: string
  readonly department: string
  readonly month: Month
  /** Null while the department has none in it; once set it stays. */
  readonly budget: IssuedBudget | null
  readonly isIssued: boolean
  /** What the department had spent when the month was first seen, over all its accounts. */
  readonly spentBeforeMicroCredits: number
  /** As of the newest count. */
  readonly revoked: Revoked
  /** Thresholds that were reached, each once. */
  readonly alerts: readonly BudgetAlert[]
  /** Those of which people were told. */
  readonly told: readonly AlertPercent[]
}

/** The only writer of the collection `budgetMonths`. */
export type BudgetStore = {
  readonly find: (department: string, month: Month) => Promise<BudgetMonth | null>
  readonly findMany: (ids: readonly string[]) => Promise<readonly BudgetMonth[]>
  /** The row, whoever made it. */
  readonly ensure: (row: BudgetMonth) => Promise<BudgetMonth>
  /** The row as it is then: whoever was first said what the month's budget is. */
  readonly setBudget: (row: BudgetMonth, budget: IssuedBudget) => Promise<BudgetMonth>
  readonly setIssued: (row: BudgetMonth) => Promise<void>
  /** In place of the count that was read, unless another replica counted meanwhile. */
  readonly setRevoked: (row: BudgetMonth, revoked: Revoked) => Promise<void>
  /** The row as it is then; each threshold is noted by whoever is first. */
  readonly addAlerts: (row: BudgetMonth, alerts: readonly BudgetAlert[]) => Promise<BudgetMonth>
  readonly setTold: (row: BudgetMonth, percent: AlertPercent) => Promise<void>
}

export function openBudgetStore(database: Database): BudgetStore {
  const months = database.documents<BudgetMonth>('budgetMonths')
  const current = async (row: BudgetMonth): Promise<BudgetMonth> =>
    (await months.findById(row._id)) ?? row
  return {
    find: async (department, month) => await months.findById(budgetIssueId(department, month)),
    findMany: async (ids) =>
      ids.length === 0 ? [] : await months.find({ _id: { $in: [...ids] } }, { limit: ids.length }),
    ensure: async (row) => ((await months.insert(row)) ? row : await current(row)),
    setBudget: async (row, budget) => {
      await months.update({ _id: row._id, budget: null }, { $set: { budget } })
      return await current(row)
    },
    setIssued: async ({ _id }) => {
      await months.update({ _id }, { $set: { isIssued: true } })
    },
    setRevoked: async ({ _id, revoked: { seq } }, revoked) => {
      await months.update({ _id, 'revoked.seq': seq }, { $set: { revoked } })
    },
    addAlerts: async (row, alerts) => {
      const percents = alerts.map(({ percent }) => percent)
      const unnoted = { _id: row._id, 'alerts.percent': { $nin: percents } }
      await months.update(unnoted, { $push: { alerts: { $each: [...alerts] } } })
      return await current(row)
    },
    setTold: async ({ _id }, percent) => {
      await months.update({ _id, told: { $ne: percent } }, { $push: { told: percent } })
    },
  }
}
