import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../../platform/mongo/database.ts'
import type { PubSub } from '../../platform/redis/pub-sub.ts'
import type { Clock } from '../../shared/clock.ts'
import { createApiKeyStore } from '../features/api-keys/store.ts'
import { openJobChanges } from '../features/jobs/changes.ts'
import type { JobEvents } from '../features/jobs/events.ts'
import type { JobRow } from '../features/jobs/row.ts'
import { type LinkObject, toView } from '../features/jobs/view.ts'
import { createTicketService, type TicketService } from '../features/realtime-tickets/service.ts'
import { createUsedTicketStore } from '../features/realtime-tickets/store.ts'
import type { SessionKeeper } from '../features/sessions/contract.ts'
import type { ApiMetrics } from '../metrics.ts'
import type { LeaderTask, People } from '../people.ts'
import { type Admit, createAdmission } from './admission.ts'
import { createCatchUp } from './catch-up.ts'
import type { MessageLimits } from './client-messages.ts'
import type { SocketLimits } from './client-socket.ts'
import { openNewsDesk } from './news-desk.ts'
import type { AccessParts } from './socket-access.ts'
import { createSocketHub } from './socket-hub.ts'
import { createSocketRegister } from './socket-register.ts'
import { createSocketSeats, type SeatLimits } from './socket-seats.ts'
import { openSockets, type Sockets } from './sockets.ts'

export type RealtimeLimits = SeatLimits & Omit<SocketLimits, 'heartbeatMs'> & MessageLimits

export type RealtimeDeps = {
  readonly database: Database
  readonly pubSub: PubSub
  readonly people: People
  readonly events: JobEvents
  readonly linkObject: LinkObject
  readonly sessions: Pick<SessionKeeper, 'isLive'>
  readonly publicUrl: string
  readonly corsOrigins?: readonly string[] | undefined
  readonly heartbeatMs?: number
  readonly realtimeLimits?: Partial<RealtimeLimits>
  readonly clock: Clock
  readonly metrics: ApiMetrics
  readonly log: Pick<FastifyBaseLogger, 'warn'>
}

export type Realtime = {
  readonly tickets: TicketService
  readonly admit: Admit
  readonly accept: Sockets['accept']
  /** What tells whether somebody may still listen. */
  readonly access: AccessParts
  /** Closes all sockets and lets no new one in. */
  readonly stop: () => Promise<void>
  readonly leaderTasks: readonly LeaderTask[]
}

const defaultLimits: RealtimeLimits = {
  perUserMax: 16,
  totalMax: 2000,
  waitingBytesMax: 1024 * 1024,
  progressWaitingBytesMax: 256 * 1024,
  stuckMsMax: 10_000,
  messagesMax: 20,
  messageEveryMs: 500,
}
const defaultHeartbeatMs = 15_000
/** Replicas whose clocks are behind must still find that a ticket was used. */
const usedTicketsKeptMs = 600_000

/** Puts the WebSocket side of the public port together. */
export function openRealtime(deps: RealtimeDeps): Realtime {
  const { database, pubSub, people, clock, log } = deps
  const { heartbeatMs = defaultHeartbeatMs, corsOrigins = [] } = deps
  const limits = { ...defaultLimits, heartbeatMs, ...deps.realtimeLimits }
  const used = createUsedTicketStore(database)
  const tickets = createTicketService({ ...deps, ...people, used })
  const changes = openJobChanges(database)
  const toJobView = (row: JobRow) => toView(row, deps.linkObject)
  const onError = (error: unknown): void =>
    log.warn({ err: error }, 'a socket was not told everything; it is told later')
  const register = createSocketRegister({
    ...deps,
    ...people,
    onJobEvent: (event) => desk.add(event),
    onNotification: (userId, id) => void catchUp.tellNotification(userId, id).catch(onError),
  })
  const hub = createSocketHub({ register, toView: toJobView })
  const desk = openNewsDesk({ changes, audience: hub, clock, onError })
  const catchUp = createCatchUp({
    ...people,
    register,
    hub,
    desk,
    changes,
    toView: toJobView,
    clock,
  })
  const access = { ...deps, ...people, apiKeys: createApiKeyStore(database) }
  const sockets = openSockets({
    ...access,
    register,
    catchUp,
    changes,
    toView: toJobView,
    pubSub,
    limits,
    onError,
  })
  const listening = people.changes.listen(({ userId }) => sockets.checkUser(userId))
  let isStopped = false
  const seats = createSocketSeats(limits)
  return {
    tickets,
    admit: createAdmission({ ...access, tickets, seats, corsOrigins, isStopped: () => isStopped }),
    accept: sockets.accept,
    access,
    stop: async () => {
      isStopped = true
      listening.close()
      desk.stop()
      await sockets.stop()
    },
    leaderTasks: [
      {
        name: 'forget-tickets',
        everyMs: usedTicketsKeptMs,
        run: async () => await used.removeExpired(clock.nowMs() - usedTicketsKeptMs),
      },
    ],
  }
}
