import { openCredits } from './credits.ts'
import type { FeatureGroup } from './feature-group.ts'
import { registerArtifactRoutes } from './features/artifacts/routes.ts'
import { createArtifactService } from './features/artifacts/service.ts'
import { registerUploadRoutes } from './features/artifacts/upload-routes.ts'
import { openUploadUsage, repairUsageTask } from './features/artifacts/upload-usage.ts'
import { createUploadService } from './features/artifacts/uploads.ts'
import { registerAuditLogRoutes } from './features/audit-log/routes.ts'
import { createAuditLogService } from './features/audit-log/service.ts'
import { openBudgets } from './features/budgets/open.ts'
import { registerDepartmentRoutes } from './features/departments/routes.ts'
import { createDepartmentService } from './features/departments/service.ts'
import { registerJobRoutes } from './features/jobs/routes.ts'
import { registerLimitRoutes } from './features/limits/routes.ts'
import { createLimitService } from './features/limits/service.ts'
import { registerModelRoutes } from './features/models/routes.ts'
import { createModelService } from './features/models/service.ts'
import { registerNotificationRoutes } from './features/notifications/routes.ts'
import { createNotificationService } from './features/notifications/service.ts'
import { registerQuoteRoutes } from './features/quotes/routes.ts'
import { registerSchedulerRoutes } from './features/schedulers/routes.ts'
import { registerSimulationRoutes } from './features/simulations/routes.ts'
import { registerSettingsRoutes } from './features/settings/routes.ts'
import { createSettingsService } from './features/settings/service.ts'
import { registerSystemRoutes } from './features/system/routes.ts'
import { createSystemService } from './features/system/service.ts'
import type { Mailer } from './mail/mailer.ts'
import type { PublicApiDeps } from './public-deps.ts'
import type { JobWatch } from './realtime/watch-job.ts'

type WorkDeps = PublicApiDeps & { readonly watch: JobWatch; readonly mailer: Mailer }

/** What people work with: departments, models, jobs and pictures, and what is said about them. */
export function openWork(deps: WorkDeps): FeatureGroup {
  const { core, clock, metrics, watch } = deps
  const { people, jobs } = core
  const uploadUsage = openUploadUsage(core.database, core.pictures)
  const uploads = createUploadService({ ...core, uploadUsage, clock })
  const departments = createDepartmentService({
    ...people,
    resources: core.departments,
    sync: core.departmentSync,
    clock,
  })
  const credits = openCredits(deps)
  const budgets = openBudgets({ ...deps, ...core })
  return {
    routes: [
      ...budgets.routes,
      (app) => registerDepartmentRoutes(app, departments),
      (app) => registerModelRoutes(app, createModelService(core.models, people)),
      (app) => registerJobRoutes(app, { jobs, watch, metrics }),
      (app) => registerQuoteRoutes(app, core.quotes),
      (app) => registerSimulationRoutes(app, core.simulations),
      (app) => registerArtifactRoutes(app, createArtifactService({ ...deps, ...core })),
      (app) => registerUploadRoutes(app, { uploads, metrics }),
      registerSchedulerRoutes,
      (app) => registerLimitRoutes(app, createLimitService({ ...core, uploadUsage, clock })),
      ...credits.routes,
      (app) =>
        registerNotificationRoutes(app, createNotificationService(people.notifications, clock)),
      (app) => registerSettingsRoutes(app, createSettingsService(people)),
      (app) => registerAuditLogRoutes(app, createAuditLogService(people)),
      (app) => registerSystemRoutes(app, createSystemService(core.audit)),
    ],
    leaderTasks: [repairUsageTask(uploadUsage), ...budgets.leaderTasks, ...credits.leaderTasks],
  }
}
