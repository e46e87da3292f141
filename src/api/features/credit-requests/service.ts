import { assert } from '../../../shared/assert.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission, visibleRows } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { invalidRequest } from '../../../shared/errors.ts'
import type {
  CreditApproval,
  CreditDecline,
  CreditRequestsQuery,
  CreditRequestView,
  NewCreditRequest,
} from '../../../shared/wire/credit-requests.ts'
import type { PersonRef } from '../../../shared/wire/ledger.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import { nameOf } from '../accounts/account-list.ts'
import { toTime } from '../accounts/account-views.ts'
import { askForCredits } from './ask.ts'
import { approveRequest, declineRequest, withdrawRequest } from './decide.ts'
import type { CreditRequestParts } from './parts.ts'
import type { CreditRequestRow, RequestPosition } from './store.ts'

/** Members ask their department for credits, departments the super admins. */
export type CreditRequests = {
  readonly ask: (wish: {
    readonly caller: Caller
    readonly key: string
    readonly request: NewCreditRequest
  }) => Promise<CreditRequestView>
  /** Newest first: one's own, for admins those of their department, for super admins all. */
  readonly list: (caller: Caller, query: CreditRequestsQuery) => Promise<Page<CreditRequestView>>
  readonly approve: (wish: Deciding & { request: CreditApproval }) => Promise<CreditRequestView>
  readonly decline: (wish: Deciding & { request: CreditDecline }) => Promise<CreditRequestView>
  readonly withdraw: (wish: Deciding) => Promise<CreditRequestView>
}

type Deciding = { readonly caller: Caller; readonly id: string }

export function createCreditRequests(parts: CreditRequestParts): CreditRequests {
  const view = async (row: CreditRequestRow): Promise<CreditRequestView> => {
    const [shown] = await toViews(parts, [row])
    assert(shown !== undefined, 'one row has one view')
    return shown
  }
  return {
    ask: async (wish) => await view(await askForCredits(parts, wish)),
    list: async (caller, query) => await listRequests(parts, caller, query),
    approve: async (wish) => await view(await approveRequest(parts, wish)),
    decline: async (wish) => await view(await declineRequest(parts, wish)),
    withdraw: async (wish) => await view(await withdrawRequest(parts, wish)),
  }
}

async function listRequests(
  parts: CreditRequestParts,
  caller: Caller,
  { state, limit, cursor }: CreditRequestsQuery,
): Promise<Page<CreditRequestView>> {
  requirePermission(caller, 'credits.read')
  const after = cursor === undefined ? null : toPosition(decodeCursor(cursor))
  const query = { rows: visibleRows(caller), state, after, limit: limit + 1 }
  const { items, next } = toPage(
    await parts.requests.page(query),
    limit,
    ({ creationTimeMs, _id }) => `${creationTimeMs} ${_id}`,
  )
  return { items: [...(await toViews(parts, items))], next }
}

function toPosition(text: string): RequestPosition {
  const [time = '', id = ''] = text.split(' ')
  const creationTimeMs = Number(time)
  if (Number.isSafeInteger(creationTimeMs) && id !== '') return { creationTimeMs, id }
  throw invalidRequest([{ path: 'cursor', message: 'is not a cursor of this list' }])
}

/** Names by one query. */
async function toViews(
  { users }: Pick<CreditRequestParts, 'users'>,
  rows: readonly CreditRequestRow[],
): Promise<readonly CreditRequestView[]> {
  const ids = rows.flatMap(({ owner, decision }) => [owner.user, decision?.by ?? owner.user])
  const people = new Map(
    (await users.findMany([...new Set(ids)])).map((one) => [one._id, nameOf(one)]),
  )
  const personOf = (id: string): PersonRef => ({ id, name: people.get(id) ?? null })
  return rows.map((row) => toView(row, personOf))
}

function toView(row: CreditRequestRow, personOf: (id: string) => PersonRef): CreditRequestView {
  const { _id: id, owner, decision, microCredits, reason, state, creationTimeMs } = row
  assert(state !== 'Asking', 'nobody sees a request before it counts')
  return {
    id,
    for: row.for,
    department: owner.department,
    user: personOf(owner.user),
    credits: formatCredits(microCredits),
    reason,
    state,
    creationTime: new Date(creationTimeMs).toISOString(),
    decision: decision === null ? null : toDecision(decision, personOf),
  }
}

function toDecision(
  decision: NonNullable<CreditRequestRow['decision']>,
  personOf: (id: string) => PersonRef,
): CreditRequestView['decision'] {
  const { by, timeMs, microCredits, expiresMs, reason } = decision
  return {
    by: by === null ? null : personOf(by),
    time: new Date(timeMs).toISOString(),
    credits: microCredits === null ? null : formatCredits(microCredits),
    expiresTime: toTime(expiresMs),
    reason,
  }
}
