import { createHash } from 'node:crypto'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { parseCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { NewCreditRequest } from '../../../shared/wire/credit-requests.ts'
import { auditOf, type CreditRequestParts, noticesForDeciders, settleRow } from './parts.ts'
import type { CreditRequestRow } from './store.ts'

/** Of one person. */
const waitingMax = 5

/**
 * Makes a request, once for a key. Errors: `auth.forbidden` for who asks for a department that is
 * not theirs to run, `credits.too_many_requests`, `idempotency.mismatch`.
 */
export async function askForCredits(
  parts: CreditRequestParts,
  { caller, key, request }: { caller: Caller; key: string; request: NewCreditRequest },
): Promise<CreditRequestRow> {
  requirePermission(caller, 'credits.request')
  requireRole(caller, request)
  const { requests } = parts
  const id = requestIdOf(caller, key)
  const earlier = await requests.find(id)
  if (earlier !== null) return requireSame(earlier, request)
  const owner = { department: caller.department, user: caller.userId }
  if ((await requests.countWaiting(owner, waitingMax)) >= waitingMax) throw tooMany()
  const row = await newRow(parts, caller, { ...request, id })
  if (!(await requests.insert(row))) return requireSame((await requests.find(id)) ?? row, request)
  // Whoever came at the same time counts this one too: rather none of them than one too many.
  if ((await requests.countWaiting(owner, waitingMax + 1)) > waitingMax) {
    await requests.removeWaiting(id)
    throw tooMany()
  }
  await settleRow(parts, row)
  return row
}

function requireRole({ role }: Caller, { for: account }: NewCreditRequest): void {
  if (account === 'Member' || role === 'department_admin' || role === 'super_admin') return
  throw new AppError('auth.forbidden', 'only department admins ask for their department')
}

function requestIdOf({ userId }: Caller, key: string): string {
  const text = JSON.stringify([userId, key])
  return `cr-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`
}

function requireSame(earlier: CreditRequestRow, request: NewCreditRequest): CreditRequestRow {
  const isSame =
    earlier.for === request.for &&
    earlier.reason === request.reason &&
    earlier.microCredits === parseCredits(request.credits)
  if (isSame) return earlier
  throw new AppError('idempotency.mismatch', 'this key asked for other credits before')
}

async function newRow(
  parts: CreditRequestParts,
  caller: Caller,
  { id: _id, credits, reason, for: account }: NewCreditRequest & { readonly id: string },
): Promise<CreditRequestRow> {
  const nowMs = parts.clock.nowMs()
  const facts = {
    _id,
    for: account,
    owner: { department: caller.department, user: caller.userId },
    microCredits: parseCredits(credits),
    reason,
  }
  const noted = { by: caller, action: 'credits.requested', after: { credits } } as const
  return {
    ...facts,
    state: 'Waiting',
    decision: null,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    auditOutbox: [auditOf(parts, noted, facts)],
    notices: await noticesForDeciders(parts, facts),
  }
}

function tooMany(): AppError {
  const message = `${waitingMax} of your requests wait: withdraw one first`
  return new AppError('credits.too_many_requests', message)
}
