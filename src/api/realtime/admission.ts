import type { Socket } from 'node:net'
import type { Caller } from '../../shared/domain/caller.ts'
import { requirePermission } from '../../shared/domain/permissions.ts'
import { AppError, invalidRequest } from '../../shared/errors.ts'
import type { TicketService } from '../features/realtime-tickets/service.ts'
import { decodeResumeCursor } from './resume-cursor.ts'
import { type AccessParts, isLive } from './socket-access.ts'
import type { SocketSeats } from './socket-seats.ts'

/** A request to become a socket. */
export type Knock = {
  readonly origin: string | undefined
  readonly ticket: string | undefined
  readonly cursor: string | undefined
  readonly connection: Socket
}

export type Admitted = { readonly caller: Caller; readonly sinceMs: number | null }

/**
 * Everything that must hold before a connection becomes a socket. Errors: `auth.cross_site`,
 * `request.invalid` for the cursor, `auth.required` without and `auth.invalid_token` with a bad
 * ticket, `rate.limited`, `platform.unavailable` when the server stops.
 */
export type Admit = (knock: Knock) => Promise<Admitted>

export type AdmissionParts = AccessParts & {
  readonly tickets: Pick<TicketService, 'read' | 'use'>
  readonly seats: SocketSeats
  readonly isStopped: () => boolean
  readonly publicUrl: string
  readonly corsOrigins: readonly string[]
}

export function createAdmission(parts: AdmissionParts): Admit {
  const origins = new Set([new URL(parts.publicUrl).origin, ...parts.corsOrigins])
  return async ({ origin, ticket, cursor, connection }) => {
    if (parts.isStopped()) throw stopping()
    if (origin !== undefined && !origins.has(origin)) throw foreignPage()
    const sinceMs = cursor === undefined ? null : readCursor(cursor)
    if (ticket === undefined) throw new AppError('auth.required', 'a socket needs a ticket')
    const claims = parts.tickets.read(ticket)
    const release = parts.seats.take(claims.userId, connection)
    try {
      await parts.tickets.use(claims)
      const { sessionId, keyId, scopes } = claims
      const caller = { ...(await parts.callers.find(claims.userId)), sessionId, keyId, scopes }
      requirePermission(caller, 'realtime.connect')
      if (!(await isLive(parts, caller))) throw ended()
      if (parts.isStopped()) throw stopping()
      return { caller, sinceMs }
    } catch (error) {
      release()
      throw error
    }
  }
}

function readCursor(cursor: string): number {
  const sinceMs = decodeResumeCursor(cursor)
  if (sinceMs !== null) return sinceMs
  throw invalidRequest([{ path: 'cursor', message: 'is not a cursor of this stream' }])
}

function stopping(): AppError {
  return new AppError('platform.unavailable', 'the server is stopping')
}

function foreignPage(): AppError {
  return new AppError('auth.cross_site', 'sockets are for pages of this site')
}

function ended(): AppError {
  return new AppError('auth.invalid_token', 'the session or key of this ticket has ended')
}
