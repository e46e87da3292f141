import { z } from 'zod'
import type { Seal } from '../../../platform/seal/seal.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { permissions, requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import { socketPath, type TicketView } from '../../../shared/wire/realtime.ts'
import type { UsedTicketStore } from './store.ts'

const lifeMs = 30_000
const purpose = 'realtime-ticket'

/** What a ticket says, readable for the api only. */
const claimsShape = z.object({
  id: z.string(),
  userId: z.string(),
  sessionId: z.string().nullable(),
  keyId: z.string().optional(),
  scopes: z.array(z.enum(permissions)).optional(),
  expiresMs: z.int(),
})
export type TicketClaims = z.infer<typeof claimsShape>

/**
 * Tickets are sealed, not stored: every replica can make and read them without Redis. Only using
 * one writes a document, whose unique `_id` makes it good for one socket.
 */
export type TicketService = {
  readonly issue: (caller: Caller) => TicketView
  /** Throws `auth.invalid_token` for one that is not ours or has expired. */
  readonly read: (ticket: string) => TicketClaims
  /** Throws `auth.invalid_token` when it was used before. */
  readonly use: (claims: TicketClaims) => Promise<void>
}

export type TicketParts = {
  readonly used: UsedTicketStore
  readonly seal: Seal
  readonly clock: Clock
  readonly newId: () => string
  readonly publicUrl: string
}

export function createTicketService(parts: TicketParts): TicketService {
  const { used, clock } = parts
  return {
    issue: (caller) => {
      requirePermission(caller, 'realtime.connect')
      return issue(parts, caller)
    },
    read: (ticket) => {
      const claims = openTicket(parts.seal, ticket)
      if (claims !== null && claims.expiresMs > clock.nowMs()) return claims
      throw notGood()
    },
    use: async ({ id, expiresMs }) => {
      if (!(await used.use(id, expiresMs))) throw notGood()
    },
  }
}

function issue(
  { seal, clock, newId, publicUrl }: TicketParts,
  { userId, sessionId = null, keyId, scopes }: Caller,
): TicketView {
  const expiresMs = clock.nowMs() + lifeMs
  const claims: TicketClaims = {
    id: newId(),
    userId,
    sessionId,
    ...(keyId !== undefined && { keyId }),
    ...(scopes !== undefined && { scopes: [...scopes] }),
    expiresMs,
  }
  const ticket = seal.close(purpose, JSON.stringify(claims))
  const url = `${publicUrl.replace(/^http/, 'ws')}${socketPath}?ticket=${ticket}`
  return { ticket, expiresTime: new Date(expiresMs).toISOString(), url }
}

function openTicket(seal: Seal, ticket: string): TicketClaims | null {
  try {
    return claimsShape.parse(JSON.parse(seal.open(purpose, ticket)))
  } catch (error) {
    // Whatever was not closed by us, with our key and for this purpose.
    if (isAppError(error, 'platform.misconfigured')) return null
    throw error
  }
}

function notGood(): AppError {
  return new AppError('auth.invalid_token', 'the ticket was used, has expired or is not ours')
}
