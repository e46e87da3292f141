import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import type { PubSub } from '../../platform/redis/pub-sub.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAppError } from '../../shared/errors.ts'
import type { ApiMetrics } from '../metrics.ts'
import { startPeriodic } from '../tasks/periodic.ts'
import type { Admitted } from './admission.ts'
import type { CatchUp } from './catch-up.ts'
import { createMessageIntake, type MessageLimits } from './client-messages.ts'
import { ClientSocket, type SocketLimits } from './client-socket.ts'
import { encodeResumeCursor } from './resume-cursor.ts'
import { type AccessParts, checkAccess } from './socket-access.ts'
import { createPacker, helloFrame } from './socket-frames.ts'
import type { Person } from './socket-register.ts'
import { type WatchParts, watchJobs } from './watched-jobs.ts'

export type SocketsParts = AccessParts &
  WatchParts & {
    readonly catchUp: CatchUp
    readonly pubSub: Pick<PubSub, 'flushed'>
    readonly clock: Clock
    readonly limits: SocketLimits & MessageLimits
    readonly metrics: ApiMetrics
    readonly onError: (error: unknown) => void
  }

export type Connection = { readonly webSocket: WebSocket; readonly connection: Socket }

/** The life of all sockets of this replica. */
export type Sockets = {
  readonly accept: (connection: Connection, admitted: Admitted) => void
  /** Looks at once whether the sockets of a person may stay. */
  readonly checkUser: (userId: string) => void
  readonly stop: () => Promise<void>
}

const tendEveryMs = 1000
/** People looked after at the same time. */
const looksMax = 4

export function openSockets(parts: SocketsParts): Sockets {
  const { register, clock, metrics, limits, onError } = parts
  const open = new Set<ClientSocket>()
  const pack = createPacker()
  const onSent = (messages: number): void => metrics.socketMessages.inc(messages)
  const tending = startPeriodic({
    everyMs: tendEveryMs,
    run: async () => {
      for (const socket of open) {
        socket.tend(clock.nowMs())
        if (socket.hasMissed) void catchUpWith(parts, socket).catch(onError)
      }
      await Promise.resolve()
    },
    onError,
  })
  const looking = startPeriodic({
    everyMs: limits.heartbeatMs,
    run: async () => await lookAround(parts),
    onError,
  })
  const onClose = (socket: ClientSocket): void => {
    register.leave(socket)
    open.delete(socket)
    metrics.sockets.set(open.size)
    metrics.socketEnds.inc({ reason: socket.end })
  }
  return {
    accept: (accepted, { caller, sinceMs }) => {
      const nowMs = clock.nowMs()
      const socket = new ClientSocket({ caller, ...accepted, limits, pack, onSent, nowMs })
      socket.behindSinceMs = sinceMs
      open.add(socket)
      metrics.sockets.set(open.size)
      accepted.webSocket.on('close', () => onClose(socket))
      listen(parts, socket, accepted.webSocket)
      const person = register.join(socket, nowMs)
      void welcome(parts, { socket, person, sinceMs }).catch(onError)
    },
    checkUser: (userId) => {
      const person = register.persons.get(userId)
      if (person !== undefined) void checkAccess(parts, person).catch(onError)
    },
    stop: async () => {
      for (const socket of open) socket.close('server_stop')
      await Promise.all([tending.stop(), looking.stop()])
    },
  }
}

/** Errors of a socket need no listener of ours: each is followed by its end. */
function listen(parts: SocketsParts, socket: ClientSocket, webSocket: WebSocket): void {
  const intake = createMessageIntake(parts.limits, parts.clock)
  webSocket.on('message', (bytes, isBinary) => {
    if (!socket.isOpen) return
    // Of the three types that a message may have, ours is the default one.
    const { message, end } = intake(Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0), isBinary)
    if (end === undefined) void watchJobs(parts, socket, message.jobs).catch(parts.onError)
    else socket.close(end)
  })
}

type Newcomer = {
  readonly socket: ClientSocket
  readonly person: Person
  readonly sinceMs: number | null
}

/** First listen, then look: what happens between the two is told twice rather than never. */
async function welcome(parts: SocketsParts, { socket, person, sinceMs }: Newcomer): Promise<void> {
  const { clock, limits, pubSub } = parts
  await pubSub.flushed()
  const cursor = encodeResumeCursor(sinceMs ?? clock.nowMs())
  socket.greet(helloFrame(cursor, limits.heartbeatMs / 1000))
  // Somebody may have lost their access between the ticket and now.
  await checkAccess(parts, person)
  await catchUpWith(parts, socket)
}

/** What events have not told is found here, and who lost their access without an event too. */
async function lookAround(parts: SocketsParts): Promise<void> {
  const persons = parts.register.persons.values()
  let isDown = false
  const lookAfterSome = async (): Promise<void> => {
    for (const person of persons) {
      if (isDown) return
      await lookAfter(parts, person).catch((error: unknown) => {
        // All others would wait for the same database.
        isDown = isAppError(error, 'platform.unavailable')
        parts.onError(error)
      })
    }
  }
  await Promise.all(Array.from({ length: looksMax }, lookAfterSome))
  if (!isDown) await parts.catchUp.tellWatched()
}

async function lookAfter(parts: SocketsParts, person: Person): Promise<void> {
  await checkAccess(parts, person)
  for (const socket of person.sockets) void catchUpWith(parts, socket).catch(parts.onError)
  await parts.catchUp.tellPerson(person)
}

/** What failed the first time is tried again with every look. */
async function catchUpWith({ catchUp }: SocketsParts, socket: ClientSocket): Promise<void> {
  const { behindSinceMs, isCatchingUp } = socket
  if (behindSinceMs === null || isCatchingUp || !socket.isOpen) return
  socket.isCatchingUp = true
  try {
    await catchUp.tellSocket(socket, behindSinceMs)
  } finally {
    socket.isCatchingUp = false
  }
}
