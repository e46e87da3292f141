import type { FeatureGroup } from './feature-group.ts'
import { openLedgerReader } from './features/accounts/ledger-reader.ts'
import { createCreditMovements } from './features/accounts/move.ts'
import { movementTasks } from './features/accounts/move-once.ts'
import { openMovementStore } from './features/accounts/movement-store.ts'
import { registerAccountRoutes } from './features/accounts/routes.ts'
import { openAccountStore } from './features/accounts/store.ts'
import { registerCreditViewRoutes } from './features/accounts/view-routes.ts'
import { createCreditViews } from './features/accounts/views.ts'
import { finishRequestsTask } from './features/credit-requests/finish.ts'
import { endRequestsOfLeaversTask } from './features/credit-requests/leave.ts'
import { registerCreditRequestRoutes } from './features/credit-requests/routes.ts'
import { createCreditRequests } from './features/credit-requests/service.ts'
import { openCreditRequestStore } from './features/credit-requests/store.ts'
import { openJobStore } from './features/jobs/store.ts'
import type { PublicApiDeps } from './public-deps.ts'

/** How people move credits, look at them and ask for more. */
export function openCredits({ core, clock, log }: PublicApiDeps): FeatureGroup {
  const { database, people, accounts } = core
  const parts = {
    ...people,
    accounts,
    accountStore: openAccountStore(database),
    ledger: openLedgerReader(database),
    jobStore: openJobStore(database, clock),
    requests: openCreditRequestStore(database),
    movements: openMovementStore(database),
    clock,
  }
  return {
    routes: [
      (app) => registerAccountRoutes(app, createCreditMovements(parts)),
      (app) => registerCreditViewRoutes(app, createCreditViews(parts)),
      (app) => registerCreditRequestRoutes(app, createCreditRequests(parts)),
    ],
    leaderTasks: [
      finishRequestsTask(parts, log),
      endRequestsOfLeaversTask(parts, log),
      ...movementTasks(parts, log),
    ],
  }
}
