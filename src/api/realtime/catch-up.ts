import type { Clock } from '../../shared/clock.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobChanges } from '../features/jobs/changes.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { NotificationRow, NotificationStore } from '../features/notifications/store.ts'
import { toNotificationView } from '../features/notifications/view.ts'
import type { ClientSocket } from './client-socket.ts'
import type { NewsDesk } from './news-desk.ts'
import { encodeResumeCursor } from './resume-cursor.ts'
import {
  cursorFrame,
  type Frame,
  jobFrame,
  notificationFrame,
  resetFrame,
} from './socket-frames.ts'
import type { SocketHub } from './socket-hub.ts'
import type { Person, SocketRegister } from './socket-register.ts'

/**
 * Rows carry the time of the replica that wrote them, and are seen a little later: clocks may
 * differ by so much. What is told twice because of it does no harm.
 */
const overlapMs = 30_000
/** Further back the lists are read anew. */
const resumeMsMax = 24 * 3600 * 1000
/** So many changes are told one by one. */
const changesMax = 200
const newestMax = 50

/** Reads what changed in the database, so that lost events cost only time. */
export type CatchUp = {
  /** Tells one socket everything since its reader left, as fast as that reads. */
  readonly tellSocket: (socket: ClientSocket, sinceMs: number) => Promise<void>
  /** Tells all sockets of a person what no event has told. */
  readonly tellPerson: (person: Person) => Promise<void>
  /** The same for the jobs that are watched, whosever they are. */
  readonly tellWatched: () => Promise<void>
  /** Tells all sockets of a person one notification. */
  readonly tellNotification: (userId: string, id: string) => Promise<void>
}

export type CatchUpParts = {
  readonly register: Pick<SocketRegister, 'watchedJobs'>
  readonly hub: SocketHub
  readonly desk: Pick<NewsDesk, 'tell'>
  readonly changes: JobChanges
  readonly notifications: Pick<NotificationStore, 'find' | 'since'>
  readonly toView: (row: JobRow) => JobView
  readonly clock: Clock
}

type Changes = {
  readonly isReset: boolean
  readonly rows: readonly JobRow[]
  readonly notifications: readonly NotificationRow[]
}

export function createCatchUp(parts: CatchUpParts): CatchUp {
  const { hub, desk, clock } = parts
  const toldIds = rememberIds()
  const tellRow = (userId: string, row: NotificationRow): void => {
    toldIds.add(row._id)
    const frame = notificationFrame(toNotificationView(row))
    hub.sendToUser(userId, { frame, only: (socket) => socket.canSeeNotifications })
  }
  return {
    tellSocket: async (socket, sinceMs) => {
      await socket.drained()
      const atMs = clock.nowMs()
      socket.hasMissed = false
      for await (const frame of framesFor(socket, sinceMs, parts)) {
        if (!socket.isOpen) return
        await socket.deliver(frame)
      }
      socket.behindSinceMs = socket.hasMissed ? atMs : null
      if (!socket.hasMissed) await socket.deliver(cursorFrame(encodeResumeCursor(atMs)))
    },
    tellPerson: async (person) => {
      const { userId } = person
      const atMs = clock.nowMs()
      const changes = await readChanges(parts, userId, person.cursorMs)
      if (changes.isReset) hub.sendToUser(userId, { frame: resetFrame() })
      for (const row of changes.rows) desk.tell(row)
      for (const row of changes.notifications) if (!toldIds.has(row._id)) tellRow(userId, row)
      person.cursorMs = atMs
      const frame = cursorFrame(encodeResumeCursor(atMs))
      hub.sendToUser(userId, { frame, only: ({ behindSinceMs }) => behindSinceMs === null })
      hub.flush()
    },
    tellWatched: async () => {
      for await (const rows of parts.changes.rows([...parts.register.watchedJobs.keys()])) {
        for (const row of rows) desk.tell(row)
        hub.flush()
      }
    },
    tellNotification: async (userId, id) => {
      const row = await parts.notifications.find(id)
      if (row === null || row.userId !== userId) return
      tellRow(userId, row)
      hub.flush()
    },
  }
}

async function readChanges(
  { changes, notifications, clock }: CatchUpParts,
  userId: string,
  sinceMs: number,
): Promise<Changes> {
  const isOld = clock.nowMs() - sinceMs > resumeMsMax
  const query = { userId, sinceMs: sinceMs - overlapMs, limit: changesMax + 1 }
  const told = isOld ? [] : await notifications.since(userId, query)
  const rows = isOld ? [] : await changes.since(query)
  const isReset = isOld || rows.length > changesMax || told.length > changesMax
  return {
    isReset,
    rows: isReset ? await changes.newest(userId, newestMax) : rows,
    notifications: isReset ? [] : told,
  }
}

/** A row of before is not news for others: it goes to this socket only. */
async function* framesFor(
  socket: ClientSocket,
  sinceMs: number,
  parts: CatchUpParts,
): AsyncGenerator<Frame, void, undefined> {
  const { userId } = socket.caller
  const { isReset, rows, notifications } = await readChanges(parts, userId, sinceMs)
  if (isReset) yield resetFrame()
  for (const row of rows) if (socket.canSeeJob(row.owner)) yield jobFrame(parts.toView(row))
  for await (const watched of parts.changes.rows([...socket.watched])) {
    const others = watched.filter(({ owner }) => owner.user !== userId && socket.canSeeJob(owner))
    for (const row of others) yield jobFrame(parts.toView(row))
  }
  if (!socket.canSeeNotifications) return
  for (const row of notifications) yield notificationFrame(toNotificationView(row))
}

const rememberedMax = 5000

/** Which notifications were told; the oldest is forgotten first. */
function rememberIds(): Pick<Set<string>, 'has' | 'add'> {
  const ids = new Set<string>()
  return {
    has: (id) => ids.has(id),
    add: (id) => {
      if (ids.size >= rememberedMax) ids.delete(ids.values().next().value ?? '')
      return ids.add(id)
    },
  }
}
