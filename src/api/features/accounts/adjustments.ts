import { unreachable } from '../../../shared/assert.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import { adjustEntryId } from '../../../shared/domain/account-movement.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { AdjustmentRequest, AdjustmentView } from '../../../shared/wire/credits.ts'
import type { LedgerReader } from './ledger-reader.ts'
import {
  expiryOf,
  findEntryOf,
  type MovementParts,
  noteBy,
  toBalanceView,
} from './movement-parts.ts'
import type { AdjustOutcome } from './outcomes.ts'
import { tellOf } from './tell.ts'

/**
 * Gives back what an entry charged or let lapse, once per entry: its id is the movement's, so two
 * keys are not two adjustments. Errors: `credits.entry_not_found`, `request.invalid` for more than
 * was taken or an expiry in the past, `credits.adjusted` after an adjustment that was another.
 */
export async function makeAdjustment(
  parts: MovementParts & { readonly ledger: Pick<LedgerReader, 'find'> },
  { caller, request }: { caller: Caller; request: AdjustmentRequest },
): Promise<AdjustmentView> {
  requirePermission(caller, 'credits.adjust')
  const entry = await parts.ledger.find(request.entry)
  if (entry === null) throw unknownEntry()
  const { accountId } = entry
  const id = adjustEntryId(entry)
  const note = noteBy(caller, request.reason)
  const earlier = await findEntryOf(parts, { accountId, entryId: id })
  if (earlier !== null) requireSame(earlier, note)
  const expiresMs = expiryOf(request.expiresTime, earlier?.timeMs ?? parts.clock.nowMs())
  const microCredits = parseCredits(request.credits)
  const adjustment = { accountId, entryId: entry._id, microCredits, expiresMs, note }
  const timeMs = requireAdjusted(await parts.accounts.adjust(adjustment))
  const facts = { entry: entry._id, expiresTime: request.expiresTime }
  const what = { action: 'credits.adjusted', kind: 'CreditsReceived', facts } as const
  await tellOf(parts, caller, [
    { id, timeMs, accountId, microCredits, reason: note.reason, ...what },
  ])
  const account = toBalanceView(await parts.accounts.balanceOf(accountId))
  return { id, credits: formatCredits(microCredits), account }
}

/** Another person or reason: somebody had the same thought, and must not believe it was done twice. */
function requireSame({ note: done }: Entry, note: { by: string; reason: string }): void {
  if (done?.by === note.by && done.reason === note.reason) return
  throw adjusted()
}

function requireAdjusted(outcome: AdjustOutcome): number {
  switch (outcome.kind) {
    case 'Adjusted':
      return outcome.timeMs
    case 'UnknownEntry':
      throw unknownEntry()
    case 'Mismatch':
      throw adjusted()
    case 'TooMuch': {
      const message = `is more than the entry took: ${formatCredits(outcome.takenMicroCredits)}`
      throw invalidRequest([{ path: '/credits', message }])
    }
    default:
      return unreachable(outcome)
  }
}

function unknownEntry(): AppError {
  return new AppError('credits.entry_not_found', 'there is no such entry')
}

function adjusted(): AppError {
  return new AppError('credits.adjusted', 'an entry is adjusted once, and this one was')
}
