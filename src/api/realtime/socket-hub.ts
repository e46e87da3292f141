import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { ClientSocket } from './client-socket.ts'
import type { NewsAudience, ToldProgress } from './news-desk.ts'
import { type Frame, jobFrame, progressFrame } from './socket-frames.ts'
import type { SocketRegister } from './socket-register.ts'

/** Brings news to sockets: each frame is made once, whoever gets it. */
export type SocketHub = NewsAudience & {
  /** Gives a frame to those sockets of a person that `only` lets pass, with the next flush. */
  readonly sendToUser: (userId: string, sending: UserSending) => void
}

export type UserSending = {
  readonly frame: Frame
  readonly only?: (socket: ClientSocket) => boolean
}

export type HubParts = {
  readonly register: SocketRegister
  readonly toView: (row: JobRow) => JobView
}

export function createSocketHub({ register, toView }: HubParts): SocketHub {
  const unsent = new Set<ClientSocket>()
  const send = (socket: ClientSocket, makeFrame: () => Frame): void => {
    // The catch-up that it needs will find this too.
    if (socket.hasMissed) return
    if (socket.enqueue(makeFrame())) unsent.add(socket)
    else socket.behindSinceMs ??= register.persons.get(socket.caller.userId)?.cursorMs ?? null
  }
  return {
    sendToUser: (userId, { frame, only = () => true }) => {
      for (const socket of register.persons.get(userId)?.sockets ?? []) {
        if (only(socket)) send(socket, () => frame)
      }
    },
    job: (row) => {
      const frame = once(() => jobFrame(toView(row)))
      for (const socket of register.audienceOf(row._id, row.owner)) send(socket, frame)
    },
    progress: (news) => {
      const whole = once(() => progressFrame(news))
      const plain = once(() => progressFrame(withoutPicture(news)))
      for (const socket of register.audienceOf(news.jobId, news.owner)) {
        send(socket, socket.watched.has(news.jobId) ? whole : plain)
      }
    },
    flush: () => {
      for (const socket of unsent) socket.flush()
      unsent.clear()
    },
  }
}

function withoutPicture({ progress, ...news }: ToldProgress): ToldProgress {
  const { preview: _picture, ...counts } = progress
  return { ...news, progress: counts }
}

/** Makes a frame when the first socket needs it, and never twice. */
function once(make: () => Frame): () => Frame {
  let made: Frame | null = null
  return () => (made ??= make())
}
