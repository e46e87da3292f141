import { Readable } from 'node:stream'
import { AppError } from '../../shared/errors.ts'
import type { ApiMetrics } from '../metrics.ts'

const lastFrameMs = 500

export type StreamLimits = {
  readonly perUserMax: number
  readonly totalMax: number
  /** A reader that leaves a frame lying longer than this is cut off. */
  readonly slowReaderMs: number
}

/** The place that one open stream takes. */
export type StreamSeat = {
  /** Fires when the reader is gone or too slow, may not read any more, or the server stops. */
  readonly signal: AbortSignal
  readonly end: (reason: StreamEnd) => void
}
export type StreamEnd =
  | 'finished'
  | 'reader_gone'
  | 'slow_reader'
  | 'token_expired'
  | 'access_changed'
  | 'session_ended'
  | 'server_stop'

export type OpenStreams = {
  /** Throws `rate.limited` when this person has too many streams open. */
  readonly open: (userId: string, options: { readonly lifeMs: number }) => StreamSeat
  /** Frames as a response body; the seat ends with it. */
  readonly toBody: (seat: StreamSeat, frames: AsyncIterable<string>) => Readable
  /** Ends all streams and lets no new one in. */
  readonly stop: () => void
}

export function createOpenStreams(limits: StreamLimits, metrics: ApiMetrics): OpenStreams {
  const seats = new Set<StreamSeat>()
  const byUser = new Map<string, number>()
  let stopped = false
  const open = (userId: string, { lifeMs }: { readonly lifeMs: number }): StreamSeat => {
    const mine = byUser.get(userId) ?? 0
    if (stopped) throw new AppError('platform.unavailable', 'the server is stopping')
    if (mine >= limits.perUserMax) throw tooMany(limits.perUserMax, mine)
    if (seats.size >= limits.totalMax) throw tooMany(limits.totalMax, seats.size)
    byUser.set(userId, mine + 1)
    const release = (): void => {
      const left = (byUser.get(userId) ?? 1) - 1
      if (left === 0) byUser.delete(userId)
      else byUser.set(userId, left)
    }
    const seat = createSeat(lifeMs, (reason) => {
      seats.delete(seat)
      release()
      metrics.eventStreams.set(seats.size)
      metrics.eventStreamEnds.inc({ reason })
    })
    seats.add(seat)
    metrics.eventStreams.set(seats.size)
    return seat
  }
  return {
    open,
    toBody: (seat, frames) => toBody(seat, cutSlowReader(seat, frames, limits.slowReaderMs)),
    stop: () => {
      stopped = true
      for (const seat of seats) seat.end('server_stop')
    },
  }
}

function createSeat(lifeMs: number, onEnd: (reason: StreamEnd) => void): StreamSeat {
  const controller = new AbortController()
  const end = (reason: StreamEnd): void => {
    if (controller.signal.aborted) return
    clearTimeout(timer)
    controller.abort()
    onEnd(reason)
  }
  const timer = setTimeout(end, lifeMs, 'token_expired')
  return { signal: controller.signal, end }
}

function toBody(seat: StreamSeat, frames: AsyncIterable<string>): Readable {
  const body = Readable.from(frames, { objectMode: true, highWaterMark: 1 })
  body.once('close', () => seat.end(body.readableEnded ? 'finished' : 'reader_gone'))
  // The frames end by themselves when the seat does, unless nobody takes the last one.
  const cut = (): void => void setTimeout(() => body.destroy(), lastFrameMs).unref()
  seat.signal.addEventListener('abort', cut, { once: true })
  return body
}

/**
 * A frame is asked for when the one before has left, so nothing piles up for a slow reader; one
 * that does not take its frame in time loses the connection.
 */
async function* cutSlowReader(
  seat: StreamSeat,
  frames: AsyncIterable<string>,
  slowReaderMs: number,
): AsyncGenerator<string, void, undefined> {
  for await (const frame of frames) {
    const timer = setTimeout(seat.end, slowReaderMs, 'slow_reader')
    try {
      yield frame
    } finally {
      clearTimeout(timer)
    }
  }
}

function tooMany(limit: number, count: number): AppError {
  return new AppError('rate.limited', 'too many event streams are open; close one first', {
    details: { limit, count },
    retryAfterSeconds: 15,
  })
}
