import { assert } from '../assert.ts'
import type { Lot } from './account.ts'
import { type Month, monthEndMs, nextMonth } from './month.ts'
import { formatCredits } from './price.ts'

/** What becomes of a month's credits that are left: they lapse with it, or a month later. */
export const carryOvers = ['None', 'NextMonth'] as const
export type CarryOver = (typeof carryOvers)[number]

/** Credits that a department gets each month. */
export type MonthlyBudget = { readonly microCredits: number; readonly carryOver: CarryOver }

/** For the audit log and comparisons. */
export function budgetText({ microCredits, carryOver }: MonthlyBudget): string {
  return `${formatCredits(microCredits)} ${carryOver}`
}

/** Id of the issue, and so of the lot on every account that it reaches. */
export function budgetIssueId(department: string, month: Month): string {
  return `budget:${department}:${month}`
}

export function budgetExpiryMs(month: Month, carryOver: CarryOver): number {
  return monthEndMs(carryOver === 'None' ? month : nextMonth(month))
}

/** Whether a lot is a month's budget of which nothing is carried over. */
export function lapsesWithItsMonth({ id, expiresMs }: Pick<Lot, 'id' | 'expiresMs'>): boolean {
  const [, month] = /^budget:[^:]+:(\d{4}-\d{2})$/.exec(id) ?? []
  return month !== undefined && expiresMs === monthEndMs(month)
}

/** Parts of a month's budget at whose use somebody is told, in percent. */
export const alertPercents = [80, 100] as const
export type AlertPercent = (typeof alertPercents)[number]

export type BudgetUse = { readonly usedMicroCredits: number; readonly percent: number }

/**
 * How much of a month's budget, less what super admins took back of it, is used: all that is not
 * free on any account of the department. What jobs hold counts, because it is promised and nobody
 * can start anything with it. Whole percents, rounded down.
 */
export function budgetUse(budgetMicroCredits: number, freeMicroCredits: number): BudgetUse {
  assert(budgetMicroCredits >= 0, 'no more is taken back than there was')
  const usedMicroCredits = Math.max(0, budgetMicroCredits - freeMicroCredits)
  const percent = Math.floor((usedMicroCredits * 100) / Math.max(1, budgetMicroCredits))
  return { usedMicroCredits, percent }
}

/** Where a month's budget is; integer micro-credits. */
export type BudgetRest = {
  /** Free of it on all accounts together, and on the one that has most. */
  readonly lotFree: number
  readonly lotFreeMost: number
  /** No more of it went to jobs; what else is missing has lapsed. */
  readonly takenMax: number
}

/**
 * Thresholds that are reached. 100 is when the budget is practically used up, since a rest below
 * the price of a job stays for ever: 80 % is used, and no account has 1 % of it free.
 */
export function reachedAlerts(
  budgetMicroCredits: number,
  { lotFree, lotFreeMost, takenMax }: BudgetRest,
): readonly AlertPercent[] {
  const lapsed = Math.max(0, budgetMicroCredits - lotFree - takenMax)
  if (budgetUse(budgetMicroCredits, lotFree + lapsed).percent < 80) return []
  return (lotFreeMost + lapsed) * 100 < budgetMicroCredits ? alertPercents : [80]
}
