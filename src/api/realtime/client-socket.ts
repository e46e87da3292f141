import type { Socket } from 'node:net'
import type { WebSocket } from '@fastify/websocket'
import type { Caller } from '../../shared/domain/caller.ts'
import {
  canSee,
  isAllowed,
  type Ownership,
  type Permission,
} from '../../shared/domain/permissions.ts'
import { type SocketEnd, socketEnds } from './socket-ends.ts'
import type { Frame, PackFrames } from './socket-frames.ts'

export type SocketLimits = {
  /** More does not wait for a reader: it is told from the database once this has left. */
  readonly waitingBytesMax: number
  /** When more than this waits, progress is left out: newer numbers follow. */
  readonly progressWaitingBytesMax: number
  /** A reader that takes nothing for longer is cut off. */
  readonly stuckMsMax: number
  /** Between two pings; a peer that has not answered by the next one is gone. */
  readonly heartbeatMs: number
}

/** What stands behind an accepted upgrade. */
export type SocketParts = {
  readonly caller: Caller
  readonly webSocket: WebSocket
  readonly connection: Socket
  readonly limits: SocketLimits
  readonly pack: PackFrames
  readonly onSent: (messages: number) => void
  readonly nowMs: number
}

/** A peer that does not answer the closing of its socket is cut off after this. */
const closeMsMax = 2000

/**
 * One open socket. One write is under way at a time; what comes meanwhile waits, and only the
 * newest of everything: a slow reader gets fewer snapshots, never an older state at the end.
 */
export class ClientSocket {
  readonly caller: Caller
  /** Jobs that it wants with pictures. */
  watched: ReadonlySet<string> = new Set()
  /** How often it has said what it wants to watch. */
  wishes = 0
  /** Since when its reader has to be told again; null once that is done. */
  behindSinceMs: number | null = null
  isCatchingUp = false
  /** Too much waited, so that something was not told: until the next catch-up nothing more is. */
  hasMissed = false
  readonly #parts: SocketParts
  #waiting = new Map<string, Frame>()
  #waitingBytes = 0
  #isGreeted = false
  #isWriting = false
  #hasMoved = false
  readonly #onDrained: (() => void)[] = []
  #movedMs: number
  #pingedMs: number
  #hasAnswered = true
  #end: SocketEnd | null = null

  constructor(parts: SocketParts) {
    this.caller = parts.caller
    this.#parts = parts
    this.#movedMs = parts.nowMs
    this.#pingedMs = parts.nowMs
    parts.webSocket.on('pong', () => {
      this.#hasAnswered = true
    })
  }

  /** Why it ended; a peer that just went away gave no other reason. */
  get end(): SocketEnd {
    return this.#end ?? 'client_gone'
  }

  get isOpen(): boolean {
    const { webSocket } = this.#parts
    return this.#end === null && webSocket.readyState === webSocket.OPEN
  }

  canSeeJob(owner: Ownership): boolean {
    return this.#may('jobs.read') && canSee(this.caller, owner)
  }

  get canSeeNotifications(): boolean {
    return this.#may('notifications.read')
  }

  /** An API key may have fewer permissions than its owner. */
  #may(permission: Permission): boolean {
    const { role, scopes } = this.caller
    return isAllowed(role, permission) && (scopes === undefined || scopes.includes(permission))
  }

  /** Leaves with the next flush; false when too much waits already. */
  enqueue(frame: Frame): boolean {
    const { waitingBytesMax, progressWaitingBytesMax } = this.#parts.limits
    if (frame.isProgress && this.#waitingBytes > progressWaitingBytesMax) return true
    const older = this.#waiting.get(frame.key)
    if (older !== undefined && older.number > frame.number) return true
    const waitingBytes = this.#waitingBytes + frame.bytes.length - (older?.bytes.length ?? 0)
    const isFull = waitingBytes > waitingBytesMax
    if (isFull && !this.#canWrite) {
      this.hasMissed = true
      return false
    }
    this.#waiting.set(frame.key, frame)
    this.#waitingBytes = waitingBytes
    if (isFull) this.flush()
    return true
  }

  /** For who tells it much at once: resolves when the frame has left, or the socket has ended. */
  async deliver(frame: Frame): Promise<void> {
    await this.drained()
    this.enqueue(frame)
    this.flush()
    await this.drained()
  }

  /** Resolves when the next frame may leave at once, or the socket has ended. */
  async drained(): Promise<void> {
    // Of those who wait together the first one writes, and the others wait on.
    while (this.isOpen && !this.#canWrite) {
      await new Promise<void>((resolve) => this.#onDrained.push(resolve))
    }
  }

  /** Goes before everything that waits already, and lets it leave. */
  greet(frame: Frame): void {
    this.#waiting = new Map([[frame.key, frame], ...this.#waiting])
    this.#isGreeted = true
    this.flush()
    if (!this.#isWriting) this.#wake()
  }

  /** Sends what waits, in one write, unless the one before is still under way. */
  flush(): void {
    if (!this.#canWrite || this.#waiting.size === 0) return
    const { connection, pack, onSent } = this.#parts
    const frames = [...this.#waiting.values()]
    this.#forgetWaiting()
    this.#isWriting = true
    this.#hasMoved = true
    connection.write(pack(frames), () => {
      this.#isWriting = false
      this.#hasMoved = true
      this.flush()
      if (!this.#isWriting) this.#wake()
    })
    onSent(frames.length)
  }

  /** Once a second: cuts off who does not read and who is gone, and asks whether they are there. */
  tend(nowMs: number): void {
    if (!this.isOpen) return
    const { webSocket, limits } = this.#parts
    if (this.#hasMoved || !this.#isWriting) this.#movedMs = nowMs
    this.#hasMoved = false
    if (nowMs - this.#movedMs > limits.stuckMsMax) {
      this.close('slow_reader')
      return
    }
    if (nowMs - this.#pingedMs < limits.heartbeatMs) return
    if (!this.#hasAnswered) {
      this.close('dead_peer')
      return
    }
    this.#pingedMs = nowMs
    this.#hasAnswered = false
    webSocket.ping()
  }

  /** The first reason counts. A peer that does not answer the closing is cut off soon after. */
  close(end: SocketEnd): void {
    if (this.#end !== null) return
    this.#end = end
    this.#forgetWaiting()
    this.#wake()
    const { webSocket } = this.#parts
    if (end === 'dead_peer') {
      webSocket.terminate()
      return
    }
    webSocket.close(socketEnds[end], end)
    setTimeout(() => webSocket.terminate(), closeMsMax).unref()
  }

  get #canWrite(): boolean {
    return this.#isGreeted && !this.#isWriting && this.isOpen
  }

  #wake(): void {
    for (const resolve of this.#onDrained.splice(0)) resolve()
  }

  #forgetWaiting(): void {
    this.#waiting = new Map()
    this.#waitingBytes = 0
  }
}
