import { unreachable } from '../../../shared/assert.ts'
import type { Entry, EntryNote } from '../../../shared/domain/account-entry.ts'
import { adjustEntryId } from '../../../shared/domain/account-movement.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits, parseCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { AdjustmentRequest, AdjustmentView } from '../../../shared/wire/credits.ts'
import type { LedgerReader } from './ledger-reader.ts'
import { moveOnce, orderOf, type Wish } from './move-once.ts'
import {
  findEntryOf,
  type MovementParts,
  noteBy,
  requireFuture,
  toBalanceView,
  toMs,
} from './movement-parts.ts'
import type { AdjustOutcome } from './outcomes.ts'

/**
 * Gives back what an entry charged or let lapse, once per entry: its id is the movement's, so two
 * keys are not two adjustments. Errors: `credits.entry_not_found`, `request.invalid` for more than
 * was taken or an expiry in the past, `credits.adjusted` after an adjustment that was another.
 */
export async function makeAdjustment(
  parts: MovementParts & { readonly ledger: Pick<LedgerReader, 'find'> },
  wish: Wish<AdjustmentRequest>,
): Promise<AdjustmentView> {
  const { caller, request } = wish
  requirePermission(caller, 'credits.adjust')
  const entry = await parts.ledger.find(request.entry)
  if (entry === null) throw unknownEntry()
  const { credits, expiresTime, reason } = request
  const { accountId, _id: entryId } = entry
  const id = adjustEntryId(entry)
  const amount = { microCredits: parseCredits(credits), expiresMs: toMs(expiresTime) }
  const adjustment = { accountId, entryId, ...amount, note: noteBy(caller, reason) }
  await moveOnce(parts, orderOf('credits.adjusted', wish), {
    accountId,
    entryId: id,
    facts: { entry: entryId, expiresTime },
    check: async () => requireFuture(expiresTime, parts.clock.nowMs()),
    move: async () => {
      requireAdjusted(await parts.accounts.adjust(adjustment))
      requireSame(await findEntryOf(parts, { accountId, entryId: id }), adjustment.note)
    },
  })
  const account = toBalanceView(await parts.accounts.balanceOf(accountId))
  return { id, credits: formatCredits(amount.microCredits), account }
}

/** Another person or reason: somebody had the same thought, and must not believe it was done twice. */
function requireSame(done: Entry | null, note: EntryNote): void {
  if (done?.note?.by === note.by && done.note.reason === note.reason) return
  throw adjusted()
}

function requireAdjusted(outcome: AdjustOutcome): void {
  switch (outcome.kind) {
    case 'Adjusted':
      return
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
