import type { ErrorCode } from '../../shared/errors.ts'
import type { Progress } from '../../shared/wire/internal.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { NotificationView } from '../../shared/wire/notifications.ts'
import type { ServerMessage } from '../../shared/wire/realtime.ts'

/** A message as the bytes of a WebSocket frame: made once, and shared by all sockets that get it. */
export type Frame = {
  /** Of two that wait with the same key, only the one with the higher number is sent. */
  readonly key: string
  readonly number: number
  readonly isProgress: boolean
  readonly bytes: Buffer
}

export function helloFrame(cursor: string, heartbeatSeconds: number): Frame {
  return toFrame('hello', { event: 'hello', cursor, heartbeatSeconds })
}

export function jobFrame(view: JobView): Frame {
  const { id, revision } = view
  return toFrame(`job ${id}`, { event: 'job', id: revision, data: view }, revision)
}

export type ProgressNews = {
  readonly jobId: string
  readonly revision: number
  readonly progress: Progress
}

export function progressFrame({ jobId, revision, progress }: ProgressNews): Frame {
  const { sequence: _sequence, ...data } = progress
  const message = { event: 'progress', id: revision, jobId, data } as const
  return { ...toFrame(`progress ${jobId}`, message, revision), isProgress: true }
}

export function notificationFrame(view: NotificationView): Frame {
  return toFrame(`notification ${view.id}`, { event: 'notification', id: view.id, data: view })
}

export function cursorFrame(cursor: string): Frame {
  return toFrame('cursor', { event: 'cursor', cursor })
}

export function resetFrame(): Frame {
  return toFrame('reset', { event: 'reset' })
}

export function errorFrame(code: ErrorCode, detail: string, jobId: string): Frame {
  return toFrame(`error ${jobId}`, { event: 'error', data: { code, detail, jobId } })
}

function toFrame(key: string, message: ServerMessage, number = 0): Frame {
  const bytes = frameText(Buffer.from(JSON.stringify(message)))
  return { key, number, isProgress: false, bytes }
}

const finalText = 0x81
const sizeIn16Bits = 126
const sizeIn64Bits = 127

/**
 * A whole text message as one unmasked frame (RFC 6455, 5.2). Without masks and compression it is
 * the same for every reader, so that it need not be made by `ws` for each socket again.
 */
export function frameText(payload: Buffer): Buffer {
  const { length } = payload
  if (length < sizeIn16Bits) return Buffer.concat([Buffer.from([finalText, length]), payload])
  if (length < 2 ** 16) {
    const head = Buffer.from([finalText, sizeIn16Bits, 0, 0])
    head.writeUInt16BE(length, 2)
    return Buffer.concat([head, payload])
  }
  const head = Buffer.from([finalText, sizeIn64Bits, 0, 0, 0, 0, 0, 0, 0, 0])
  head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}

/** Joins frames for one write; sockets with the same news share the bytes. */
export type PackFrames = (frames: readonly Frame[]) => Buffer

export function createPacker(): PackFrames {
  let last: { readonly frames: readonly Frame[]; readonly bytes: Buffer } | null = null
  return (frames) => {
    const [first] = frames
    if (frames.length === 1 && first !== undefined) return first.bytes
    if (last !== null && areSame(last.frames, frames)) return last.bytes
    last = { frames, bytes: Buffer.concat(frames.map(({ bytes }) => bytes)) }
    return last.bytes
  }
}

function areSame(left: readonly Frame[], right: readonly Frame[]): boolean {
  return left.length === right.length && left.every((frame, index) => frame === right[index])
}
