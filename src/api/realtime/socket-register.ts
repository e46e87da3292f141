import type { JobEvent, JobEvents, Subscription } from '../features/jobs/events.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { NotificationEvents } from '../features/notifications/events.ts'
import type { ClientSocket } from './client-socket.ts'

/** The sockets of one person on this replica: they share subscriptions, reads and frames. */
export type Person = {
  readonly userId: string
  readonly sockets: Set<ClientSocket>
  /** All changes before it have been told. */
  cursorMs: number
  readonly subscriptions: readonly Subscription[]
}

type WatchedJob = { readonly sockets: Set<ClientSocket>; readonly subscription: Subscription }

/** Who is connected here, and what they want to hear of. */
export type SocketRegister = {
  readonly persons: ReadonlyMap<string, Person>
  readonly watchedJobs: ReadonlyMap<string, WatchedJob>
  readonly join: (socket: ClientSocket, nowMs: number) => Person
  readonly leave: (socket: ClientSocket) => void
  /** Replaces what a socket watches; it must be allowed to see these jobs. */
  readonly watch: (socket: ClientSocket, jobIds: readonly string[]) => void
  /** Sockets of a job's owner, and those of others that watch it; each only if it may see it. */
  readonly audienceOf: (jobId: string, owner: JobRow['owner']) => readonly ClientSocket[]
}

export type RegisterParts = {
  readonly events: Pick<JobEvents, 'onUser' | 'onJob'>
  readonly notificationEvents: Pick<NotificationEvents, 'onUser'>
  readonly onJobEvent: (event: JobEvent) => void
  readonly onNotification: (userId: string, id: string) => void
}

export function createSocketRegister(parts: RegisterParts): SocketRegister {
  const persons = new Map<string, Person>()
  const watchedJobs = new Map<string, WatchedJob>()
  const subscribe = (userId: string): readonly Subscription[] => [
    // A watched job comes with its picture on a channel of its own.
    parts.events.onUser(userId, (event) =>
      parts.onJobEvent(watchedJobs.has(event.jobId) ? withoutProgress(event) : event),
    ),
    parts.notificationEvents.onUser(userId, (id) => parts.onNotification(userId, id)),
  ]
  const watch = (socket: ClientSocket, jobIds: readonly string[]): void => {
    const wanted = new Set(jobIds)
    for (const jobId of socket.watched) if (!wanted.has(jobId)) unwatch(watchedJobs, jobId, socket)
    for (const jobId of wanted) {
      const known = watchedJobs.get(jobId)
      const subscription = known?.subscription ?? parts.events.onJob(jobId, parts.onJobEvent)
      const sockets = known?.sockets ?? new Set()
      watchedJobs.set(jobId, { subscription, sockets: sockets.add(socket) })
    }
    socket.watched = wanted
  }
  return {
    persons,
    watchedJobs,
    watch,
    join: (socket, nowMs) => {
      const { userId } = socket.caller
      const known = persons.get(userId)
      const person = known ?? newPerson(userId, nowMs, subscribe(userId))
      persons.set(userId, person)
      person.sockets.add(socket)
      return person
    },
    leave: (socket) => {
      watch(socket, [])
      const person = persons.get(socket.caller.userId)
      person?.sockets.delete(socket)
      if (person === undefined || person.sockets.size > 0) return
      persons.delete(person.userId)
      for (const subscription of person.subscriptions) subscription.close()
    },
    audienceOf: (jobId, owner) => {
      const own = owner.user === null ? [] : (persons.get(owner.user)?.sockets ?? [])
      const watching = watchedJobs.get(jobId)?.sockets ?? []
      return [...new Set([...own, ...watching])].filter((socket) => socket.canSeeJob(owner))
    },
  }
}

function newPerson(userId: string, nowMs: number, subscriptions: readonly Subscription[]): Person {
  return { userId, sockets: new Set(), cursorMs: nowMs, subscriptions }
}

function unwatch(watchedJobs: Map<string, WatchedJob>, jobId: string, socket: ClientSocket): void {
  const watched = watchedJobs.get(jobId)
  watched?.sockets.delete(socket)
  if (watched === undefined || watched.sockets.size > 0) return
  watchedJobs.delete(jobId)
  watched.subscription.close()
}

function withoutProgress({ jobId, revision }: JobEvent): JobEvent {
  return { jobId, revision }
}
