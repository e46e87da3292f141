import type { Socket } from 'node:net'
import { AppError } from '../../shared/errors.ts'

export type SeatLimits = { readonly perUserMax: number; readonly totalMax: number }

/** How many sockets there are, counted from before the upgrade to the end of the connection. */
export type SocketSeats = {
  /** Throws `rate.limited`. Given back when the connection closes, or by the returned function. */
  readonly take: (userId: string, connection: Socket) => () => void
}

export function createSocketSeats(limits: SeatLimits): SocketSeats {
  const byUser = new Map<string, number>()
  let total = 0
  const count = (userId: string, change: 1 | -1): void => {
    const mine = (byUser.get(userId) ?? 0) + change
    if (mine === 0) byUser.delete(userId)
    else byUser.set(userId, mine)
    total += change
  }
  return {
    take: (userId, connection) => {
      const mine = byUser.get(userId) ?? 0
      if (mine >= limits.perUserMax) throw tooMany(limits.perUserMax, mine)
      if (total >= limits.totalMax) throw tooMany(limits.totalMax, total)
      count(userId, 1)
      let taken = true
      const release = (): void => {
        if (taken) count(userId, -1)
        taken = false
      }
      connection.once('close', release)
      return release
    },
  }
}

function tooMany(limit: number, count: number): AppError {
  return new AppError('rate.limited', 'too many sockets are open; close one first', {
    details: { limit, count },
    retryAfterSeconds: 15,
  })
}
