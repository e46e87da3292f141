import { unreachable } from '../../../src/shared/assert.ts'

/**
 * What the ledger must do, as plain maps and without its code: one account, one request, one
 * answer. An answer has the fields of the service's outcomes.
 */
export type Piece = {
  readonly lotId: string
  readonly microCredits: number
  readonly expiresMs: number | null
}

type About = { readonly accountId: string }
type Amount = { readonly microCredits: number }
type Life = { readonly expiresMs: number | null }
type Target = { readonly accountId: string | null; readonly microCredits: number }

export type Ask =
  | ({ readonly kind: 'issue'; readonly issueId: string } & About & Amount & Life)
  | ({
      readonly kind: 'transfer'
      readonly transferId: string
      readonly how: 'Distribute' | 'Revoke'
      readonly recipients: readonly Target[]
    } & About)
  | ({
      readonly kind: 'recall'
      readonly transferId: string
      readonly to: string | null
      readonly microCreditsMax: number
    } & About)
  | ({ readonly kind: 'adjust'; readonly entryId: string } & About & Amount & Life)
  | ({ readonly kind: 'hold'; readonly jobId: string } & About & Amount)
  | ({ readonly kind: 'settle'; readonly jobId: string } & About & Amount)
  | ({ readonly kind: 'void' | 'expire'; readonly jobId: string } & About)
  | ({ readonly kind: 'lapse' } & About)

export type Answer = { readonly kind: string } & Readonly<Record<string, unknown>>

export type Move = { readonly debit: string; readonly credit: string } & Piece

/** One entry: what it moved, and what its request was answered. */
export type Fact = { readonly moves: readonly Move[]; readonly answer: Answer }

export type ModelAccount = {
  readonly id: string
  readonly seq: number
  readonly lots: ReadonlyMap<string, Piece>
  readonly holds: ReadonlyMap<string, readonly Piece[]>
  /** By id of the entry. */
  readonly past: ReadonlyMap<string, Fact>
}

export type Step = {
  readonly answer: Answer
  /** Null when nothing changes. */
  readonly entryId: string | null
  readonly moves: readonly Move[]
  readonly next: ModelAccount
}

const toleranceMs = 60_000
const endingNames = { settle: 'Settled', void: 'Voided', expire: 'Expired' } as const

export function emptyModel(id: string): ModelAccount {
  return { id, seq: 0, lots: new Map(), holds: new Map(), past: new Map() }
}

export function sum(pieces: Iterable<Amount>): number {
  return [...pieces].reduce((total, { microCredits }) => total + microCredits, 0)
}

export function answerOf(account: ModelAccount, ask: Ask, nowMs: number): Step {
  switch (ask.kind) {
    case 'issue':
      return issue(account, ask, nowMs)
    case 'transfer':
      return transfer(account, ask, nowMs)
    case 'recall':
      return recall(account, ask, nowMs)
    case 'adjust':
      return adjust(account, ask, nowMs)
    case 'hold':
      return hold(account, ask, nowMs)
    case 'lapse':
      return lapse(account, nowMs)
    case 'settle':
    case 'void':
    case 'expire':
      return end(account, ask, nowMs)
    default:
      return unreachable(ask)
  }
}

type AskOf<Kind extends Ask['kind']> = Extract<Ask, { readonly kind: Kind }>

function issue(account: ModelAccount, ask: AskOf<'issue'>, nowMs: number): Step {
  const entryId = `${ask.issueId}:issue`
  const first = account.past.get(entryId)
  if (first !== undefined) return same(account, isLot(first, ask) ? first.answer : mismatch)
  const { microCredits, expiresMs } = ask
  const lot = { lotId: ask.issueId, microCredits, expiresMs }
  const moves = move([lot], 'system/issued', `${account.id}/available`)
  return changed(account, { entryId, moves, answer: { kind: 'Issued', timeMs: nowMs } })
}

const mismatch: Answer = { kind: 'Mismatch' }

function isLot({ moves }: Fact, { microCredits, expiresMs }: Amount & Life): boolean {
  return sum(moves) === microCredits && moves.every((one) => one.expiresMs === expiresMs)
}

function transfer(account: ModelAccount, ask: AskOf<'transfer'>, nowMs: number): Step {
  const entryId = `${ask.transferId}:${ask.how.toLowerCase()}`
  const first = account.past.get(entryId)
  if (first !== undefined) {
    const isSame = equalMaps(bySide(first.moves), wanted(ask.recipients))
    return same(account, isSame ? first.answer : mismatch)
  }
  const total = sum(ask.recipients)
  let free = usable(account, nowMs)
  const available = sum(free)
  if (available < total) return same(account, shortBy(total, available))
  const moves = ask.recipients.flatMap((one) => {
    const pieces = take(free, one.microCredits)
    free = minus(free, pieces)
    return move(pieces, `${account.id}/available`, sideOf(one))
  })
  return changed(account, { entryId, moves, answer: { kind: 'Moved', microCredits: total } })
}

function recall(account: ModelAccount, ask: AskOf<'recall'>, nowMs: number): Step {
  const first = account.past.get(`${ask.transferId}:revoke`)
  if (first !== undefined) return same(account, first.answer)
  const microCredits = Math.min(sum(usable(account, nowMs)), ask.microCreditsMax)
  if (microCredits === 0) return same(account, { kind: 'Moved', microCredits: 0 })
  const recipients = [{ accountId: ask.to, microCredits }]
  const all = { ...ask, kind: 'transfer', how: 'Revoke', recipients } as const
  return transfer(account, all, nowMs)
}

function adjust(account: ModelAccount, ask: AskOf<'adjust'>, nowMs: number): Step {
  const entryId = `${ask.entryId}:adjust`
  const first = account.past.get(entryId)
  if (first !== undefined) return same(account, isLot(first, ask) ? first.answer : mismatch)
  const target = account.past.get(ask.entryId)
  if (target === undefined) return same(account, { kind: 'UnknownEntry' })
  const to = (side: string) => sum(target.moves.filter(({ credit }) => credit === side))
  const [spent, expired] = [to('system/revenue'), to('system/expired')]
  const { microCredits, expiresMs } = ask
  const taken = spent + expired
  if (microCredits > taken) return same(account, { kind: 'TooMuch', takenMicroCredits: taken })
  const ofRevenue = Math.min(microCredits, spent)
  const piece = (amount: number) => [{ lotId: entryId, microCredits: amount, expiresMs }]
  const moves = [
    ...move(piece(ofRevenue), 'system/revenue', `${account.id}/available`),
    ...move(piece(microCredits - ofRevenue), 'system/expired', `${account.id}/available`),
  ]
  return changed(account, { entryId, moves, answer: { kind: 'Adjusted', timeMs: nowMs } })
}

function hold(account: ModelAccount, { jobId, microCredits }: AskOf<'hold'>, nowMs: number): Step {
  const endings = ['settle', 'void', 'expire'].map((phase) => `${jobId}:${phase}`)
  if (endings.some((id) => account.past.has(id))) return same(account, { kind: 'Ended' })
  const held = account.holds.get(jobId)
  if (held !== undefined) return same(account, { kind: 'Held', microCredits: sum(held) })
  const free = usable(account, nowMs)
  if (sum(free) < microCredits) return same(account, shortBy(microCredits, sum(free)))
  const parts = take(free, microCredits)
  const moves = move(parts, `${account.id}/available`, `${account.id}/held`)
  const holds = new Map([...account.holds, [jobId, parts]])
  const fact = { entryId: `${jobId}:hold`, moves, answer: { kind: 'Held', microCredits } }
  return changed({ ...account, holds }, fact)
}

function end(
  account: ModelAccount,
  ask: Extract<Ask, { readonly kind: 'settle' | 'void' | 'expire' }>,
  nowMs: number,
): Step {
  const { jobId, kind } = ask
  const parts = account.holds.get(jobId)
  if (parts === undefined) return same(account, firstEnding(account, jobId))
  const wish = ask.kind === 'settle' ? ask.microCredits : 0
  const charged = take(parts, Math.min(wish, sum(parts)))
  const rest = minus(parts, charged)
  const held = `${account.id}/held`
  const moves = [
    ...move(charged, held, 'system/revenue'),
    ...rest.flatMap((piece) =>
      move([piece], held, isOver(piece, nowMs) ? 'system/expired' : `${account.id}/available`),
    ),
  ]
  const holds = new Map([...account.holds].filter(([id]) => id !== jobId))
  const answer = { kind: endingNames[kind], chargedMicroCredits: sum(charged) }
  return changed({ ...account, holds }, { entryId: `${jobId}:${kind}`, moves, answer })
}

function firstEnding({ past }: ModelAccount, jobId: string): Answer {
  const found = ['settle', 'void', 'expire'].flatMap((phase) => past.get(`${jobId}:${phase}`) ?? [])
  return found[0]?.answer ?? { kind: 'Unknown' }
}

function lapse(account: ModelAccount, nowMs: number): Step {
  const over = [...account.lots.values()].filter((lot) => isOver(lot, nowMs))
  if (over.length === 0) return same(account, { kind: 'NothingLapsed' })
  const moves = move(over, `${account.id}/available`, 'system/expired')
  const entryId = `${account.id}:${account.seq + 1}:lapse`
  return changed(account, { entryId, moves, answer: { kind: 'Lapsed' } })
}

/** What was sent arrives. */
export function arrive(account: ModelAccount, entryId: string, pieces: readonly Piece[]): Step {
  const moves = move(pieces, `${account.id}/incoming`, `${account.id}/available`)
  return changed(account, { entryId, moves, answer: { kind: 'Received' } })
}

function same(account: ModelAccount, answer: Answer): Step {
  return { answer, entryId: null, moves: [], next: account }
}

function changed(account: ModelAccount, fact: Fact & { readonly entryId: string }): Step {
  const { entryId, moves, answer } = fact
  const free = `${account.id}/available`
  const lots = new Map(account.lots)
  for (const { debit, credit, lotId, microCredits, expiresMs } of moves) {
    const sign = Number(credit === free) - Number(debit === free)
    const amount = (lots.get(lotId)?.microCredits ?? 0) + sign * microCredits
    if (amount === 0) lots.delete(lotId)
    else if (sign !== 0) lots.set(lotId, { lotId, microCredits: amount, expiresMs })
  }
  const past = new Map([...account.past, [entryId, { moves, answer }]])
  return { ...fact, next: { ...account, lots, past, seq: account.seq + 1 } }
}

function move(pieces: readonly Piece[], debit: string, credit: string): readonly Move[] {
  return pieces
    .filter(({ microCredits }) => microCredits > 0)
    .map(({ lotId, microCredits, expiresMs }) => {
      return { debit, credit, lotId, microCredits, expiresMs }
    })
}

function usable({ lots }: ModelAccount, nowMs: number): readonly Piece[] {
  const endOf = ({ expiresMs }: Piece) => expiresMs ?? Infinity
  return [...lots.values()]
    .filter((lot) => endOf(lot) > nowMs)
    .toSorted((a, b) =>
      endOf(a) === endOf(b) ? (a.lotId < b.lotId ? -1 : 1) : endOf(a) - endOf(b),
    )
}

function take(pieces: readonly Piece[], amount: number): readonly Piece[] {
  const [first, ...rest] = pieces
  if (amount === 0 || first === undefined) return []
  const microCredits = Math.min(first.microCredits, amount)
  return [{ ...first, microCredits }, ...take(rest, amount - microCredits)]
}

function minus(pieces: readonly Piece[], taken: readonly Piece[]): readonly Piece[] {
  return pieces.flatMap((piece) => {
    const left = piece.microCredits - sum(taken.filter(({ lotId }) => lotId === piece.lotId))
    return left === 0 ? [] : [{ ...piece, microCredits: left }]
  })
}

function isOver({ expiresMs }: Piece, nowMs: number): boolean {
  return expiresMs !== null && nowMs >= expiresMs + toleranceMs
}

function shortBy(total: number, available: number): Answer {
  const missingMicroCredits = total - available
  return { kind: 'Insufficient', missingMicroCredits, availableMicroCredits: available }
}

function sideOf({ accountId }: Target): string {
  return accountId === null ? 'system/issued' : `${accountId}/incoming`
}

function bySide(moves: readonly Move[]): ReadonlyMap<string, number> {
  return new Map([...Map.groupBy(moves, ({ credit }) => credit)].map(([to, all]) => [to, sum(all)]))
}

function wanted(recipients: readonly Target[]): ReadonlyMap<string, number> {
  return new Map(recipients.map((one) => [sideOf(one), one.microCredits]))
}

function equalMaps(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value)
}
