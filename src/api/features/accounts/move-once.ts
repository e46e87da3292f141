import { createHash } from 'node:crypto'
import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { findEntryOf, type MovementParts, reusedKey } from './movement-parts.ts'
import type { MovementDocument } from './movement-store.ts'
import { tellOf } from './tell.ts'

/** Who asks for a movement of credits. The same key and body again move nothing. */
export type Wish<Request> = {
  readonly caller: Caller
  /** The client's `Idempotency-Key`. */
  readonly key: string
  readonly request: Request
}

export type Order = Pick<MovementDocument, '_id' | 'requestHash' | 'by' | 'action'> & {
  /** For the ledger: another body is another movement there. */
  readonly movementId: string
}

export function orderOf(action: AuditAction, { caller, key, request }: Wish<unknown>): Order {
  const { userId, role, department, keyId, origin } = caller
  const requestHash = digest([userId, key, action, request])
  return {
    _id: digest([userId, key]),
    requestHash,
    movementId: `rest:${requestHash.slice(0, 40)}`,
    action,
    by: { userId, role, department, ...(keyId && { keyId }), ...(origin && { origin }) },
  }
}

function digest(facts: readonly unknown[]): string {
  return createHash('sha256').update(canonicalJson(facts)).digest('hex')
}

export type Movement<Done> = Pick<MovementDocument, 'accountId' | 'entryId' | 'facts'> & {
  /** What must be true of one that has not moved; a repeat is answered whatever has become of it. */
  readonly check: () => Promise<void>
  /** Throws when it is refused; a repeat changes nothing in the ledger. */
  readonly move: () => Promise<Done>
}

/**
 * Moves credits once for a key and tells of it. The order lies in the database before they move:
 * after a crash its sender or the task below tells what is still to be told. One that is refused
 * keeps its key, and may be tried again. Errors: `idempotency.mismatch`; those of `check`, which
 * leave nothing behind, and of `move`.
 */
export async function moveOnce<Done>(
  parts: MovementParts,
  order: Order,
  movement: Movement<Done>,
): Promise<Done> {
  const isNew = (await findEntryOf(parts, movement)) === null
  if (isNew) await movement.check()
  const { movementId: _, ...ordered } = order
  const { accountId, entryId, facts } = movement
  const timesMs = { tryTimeMs: parts.clock.nowMs(), toldTimeMs: null }
  const wanted = { ...ordered, accountId, entryId, facts, ...timesMs }
  const document = await claim(parts, wanted, { isNew })
  const done = await movement.move()
  if (document.toldTimeMs === null) await finish(parts, document)
  return done
}

async function claim(
  { movements }: Pick<MovementParts, 'movements'>,
  wanted: MovementDocument,
  { isNew }: { readonly isNew: boolean },
): Promise<MovementDocument> {
  if (await movements.insert(wanted)) return wanted
  const known = isNew ? await movements.retry(wanted) : await movements.find(wanted._id)
  if (known?.requestHash === wanted.requestHash) return known
  throw reusedKey()
}

type FinishParts = Omit<MovementParts, 'accounts' | 'departments'>

/** Tells of what has moved; false when nothing has. */
async function finish(parts: FinishParts, document: MovementDocument): Promise<boolean> {
  const entry = await findEntryOf(parts, document)
  if (entry === null) return false
  // Of two who adjusted one entry the second was refused: what is there is the first one's.
  if (entry.note?.by === document.by.userId) await tellOf(parts, document, entry)
  await parts.movements.setTold(document, parts.clock.nowMs())
  return true
}

/** Whoever moves credits is done long before. */
const brokenOffMs = 10_000
/** So long a request may stand between its order and the ledger. */
const movingMaxMs = 600_000
const finishEveryMs = 5000
const finishedMax = 100

/** Tells of movements whose request broke off before it had. */
export async function finishMovements(parts: FinishParts, log: ItemLog): Promise<void> {
  const nowMs = parts.clock.nowMs()
  for (const document of await parts.movements.findUntold(nowMs - brokenOffMs, finishedMax)) {
    await serveItem({ id: document._id, log }, async () => {
      const isOver = nowMs - document.tryTimeMs > movingMaxMs
      if ((await finish(parts, document)) || !isOver) return
      await parts.movements.setTold(document, nowMs)
    })
  }
}

/** Longer than any client tries again; then the same key and another body are another movement. */
const keptMs = 7 * 86_400_000
const forgetEveryMs = 3_600_000

/** For `leaderTasks`. */
export function movementTasks(parts: FinishParts, log: ItemLog): readonly LeaderTask[] {
  const { movements, clock } = parts
  return [
    {
      name: 'finish-credit-movements',
      everyMs: finishEveryMs,
      run: async () => await finishMovements(parts, log),
    },
    {
      name: 'forget-credit-movements',
      everyMs: forgetEveryMs,
      run: async () => await movements.removeToldBefore(clock.nowMs() - keptMs),
    },
  ]
}
