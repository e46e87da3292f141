import { createPublicApp, type PublicApp } from './app.ts'
import { loadDemoAccounts } from './demo-accounts.ts'
import { openAccess } from './access.ts'
import { registerTicketRoutes } from './features/realtime-tickets/routes.ts'
import type { LeaderTask } from './people.ts'
import { openRealtime } from './realtime/open-realtime.ts'
import { createOpenStreams, type StreamLimits } from './realtime/open-streams.ts'
import { registerSocketRoute } from './realtime/socket-routes.ts'
import { createJobWatch } from './realtime/watch-job.ts'
import { openRequestLimits } from './request-limits.ts'
import type { PublicApiDeps } from './public-deps.ts'
import { openQueuedWork } from './tasks/queued-work.ts'
import { openWork } from './work.ts'

export type PublicApi = PublicApp & {
  /** Only the embedded environment has such a file. */
  readonly loadDemoAccounts: (path: string) => Promise<void>
  /** To be given to the core's `start`. */
  readonly leaderTasks: readonly LeaderTask[]
}

const defaultStreamLimits: StreamLimits = { perUserMax: 16, totalMax: 2000, slowReaderMs: 10_000 }
const defaultHeartbeatMs = 15_000

/** Puts the features of the public port together on top of the core. */
export async function openPublicApi(deps: PublicApiDeps): Promise<PublicApi> {
  const { core, clock, metrics } = deps
  const { accounts, people, database } = core
  const queued = openQueuedWork({ ...deps, ...people, database })
  const { attempts, counters, close: closeLimits } = openRequestLimits({ ...deps, people })
  const access = await openAccess({ ...deps, attempts, mailer: queued.mailer })
  const realtime = openRealtime({ ...deps, ...core, sessions: access.keeper })
  const streams = createOpenStreams(deps.streamLimits ?? defaultStreamLimits, metrics)
  const heartbeatMs = deps.heartbeatMs ?? defaultHeartbeatMs
  const work = openWork({
    ...deps,
    mailer: queued.mailer,
    watch: createJobWatch({ ...core, access: realtime.access, streams, clock, heartbeatMs }),
  })
  const publicApp = await createPublicApp({
    ...deps,
    newRequestId: people.newId,
    verifyToken: access.verifyToken,
    streams,
    counters,
    onClose: async () => {
      closeLimits()
      await queued.close()
    },
    routes: [
      ...access.routes,
      ...work.routes,
      (app) => registerTicketRoutes(app, realtime.tickets),
      async (app) => await registerSocketRoute(app, realtime),
    ],
  })
  const demo = { ...people, accounts, passwords: access.passwords, clock }
  return {
    ...publicApp,
    leaderTasks: [access, work, realtime, queued].flatMap(({ leaderTasks }) => leaderTasks),
    loadDemoAccounts: async (path) => await loadDemoAccounts(path, demo),
  }
}
