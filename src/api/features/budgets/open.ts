import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { FeatureGroup } from '../../feature-group.ts'
import type { Mailer } from '../../mail/mailer.ts'
import type { People } from '../../people.ts'
import type { ItemLog } from '../../serve-item.ts'
import type { AccountService } from '../accounts/service.ts'
import type { AccountStore } from '../accounts/store.ts'
import { openWarningStore } from '../expiry-warnings/store.ts'
import { expiryWarningTask } from '../expiry-warnings/warn.ts'
import { budgetTask } from './keep.ts'
import { registerDepartmentCreditsRoute } from './routes.ts'
import { createDepartmentCreditsService } from './service.ts'
import { openBudgetStore } from './store.ts'

export type BudgetDeps = {
  readonly people: People
  readonly database: Database
  readonly accounts: AccountService
  readonly accountStore: AccountStore
  readonly mailer: Mailer
  readonly clock: Clock
  readonly log: ItemLog
}

/** What departments get each month, and who is told when credits run out or lapse. */
export function openBudgets(deps: BudgetDeps): FeatureGroup {
  const { people, database } = deps
  const parts = {
    ...deps,
    ...people,
    months: openBudgetStore(database),
    warnings: openWarningStore(database),
  }
  const service = createDepartmentCreditsService(parts)
  return {
    routes: [(app) => registerDepartmentCreditsRoute(app, service)],
    leaderTasks: [budgetTask(parts), expiryWarningTask(parts)],
  }
}
