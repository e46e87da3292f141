import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import { unreachable } from '../../../shared/assert.ts'
import type { VisibleRows } from '../../../shared/domain/permissions.ts'
import type { Beneficiary, CreditRequestState } from '../../../shared/wire/credit-requests.ts'
import type { IdPage } from '../jobs/store.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'
import type { Notice } from '../notifications/contract.ts'

/** `Asking` is written but not yet counted: nobody sees it or is told of it. */
export type RequestState = CreditRequestState | 'Asking'

export type CreditRequestRow = AuditOutbox & {
  /** Also the id of the movement that it leads to, so that there is at most one. */
  readonly _id: string
  readonly for: Beneficiary
  /** The department that is asked or asked for, and who asks. */
  readonly owner: { readonly department: string; readonly user: string }
  readonly microCredits: number
  readonly reason: string
  readonly state: RequestState
  /** Null while it waits. */
  readonly decision: RequestDecision | null
  readonly creationTimeMs: number
  readonly updateTimeMs: number
  /** An approval was taken back: until then its movement is looked for, in case it comes late. */
  readonly lateUntilMs?: number
  /** Whom the last changes have still to tell. */
  readonly notices: readonly Notice[]
}

export type RequestDecision = {
  /** Id of a person; null for the platform itself. */
  readonly by: string | null
  readonly timeMs: number
  /** What is given; null when nothing is. */
  readonly microCredits: number | null
  readonly expiresMs: number | null
  /** Why not. */
  readonly reason: string | null
  /** Of an approval: for the audit log as soon as it is true, and gone then. */
  readonly audit?: AuditEntry | undefined
}

export type RequestGuard = {
  readonly states: readonly RequestState[]
  /** Only while this decision stands. */
  readonly decidedMs?: number
}

export type RequestChange = {
  readonly state: RequestState
  readonly decision: RequestDecision | null
  readonly nowMs: number
  readonly lateUntilMs?: number
  readonly audit?: AuditEntry
  readonly notices?: readonly Notice[]
}

export type RequestPosition = { readonly creationTimeMs: number; readonly id: string }

export type RequestPage = {
  readonly rows: VisibleRows
  readonly state: CreditRequestState | undefined
  readonly after: RequestPosition | null
  readonly limit: number
}

/** The only writer of the collection `creditRequests`. Decided ones are kept. */
export type CreditRequestStore = OutboxStore & {
  readonly find: (id: string) => Promise<CreditRequestRow | null>
  /** False when the id is taken. */
  readonly insert: (row: CreditRequestRow) => Promise<boolean>
  /** Takes one away that nobody saw; false when it was counted meanwhile or is gone. */
  readonly removeAsking: (id: string) => Promise<boolean>
  /** One conditional update; null when the guard fails. */
  readonly change: (
    id: string,
    guard: RequestGuard,
    change: RequestChange,
  ) => Promise<CreditRequestRow | null>
  /** How many of a person's requests in a department are not decided; counts up to `countMax`. */
  readonly countOpen: (owner: CreditRequestRow['owner'], countMax: number) => Promise<number>
  /** Newest first. */
  readonly page: (query: RequestPage) => Promise<readonly CreditRequestRow[]>
  /** Members' requests that wait. */
  readonly pageWaiting: (page: IdPage) => Promise<readonly CreditRequestRow[]>
  /** Those whose approval, or whose asking, began before a time and is not done. */
  readonly findStuck: (
    state: 'Approving' | 'Asking',
    found: { readonly beforeMs: number; readonly limit: number },
  ) => Promise<readonly CreditRequestRow[]>
  /** Those whose movement may still come; those first that are looked at for the last time. */
  readonly findTakenBack: (nowMs: number, limit: number) => Promise<readonly CreditRequestRow[]>
  readonly findWithNotices: (limit: number) => Promise<readonly CreditRequestRow[]>
  readonly dropNotices: (id: string, noticeIds: readonly string[]) => Promise<void>
}

export function openCreditRequestStore(database: Database): CreditRequestStore {
  const requests = database.documents<CreditRequestRow>('creditRequests')
  return {
    ...openOutboxes(database, 'creditRequests'),
    find: requests.findById,
    insert: requests.insert,
    removeAsking: async (id) => await requests.remove({ _id: id, state: 'Asking' }),
    change: async (id, { states, decidedMs }, { audit, notices = [], nowMs, ...set }) => {
      const decided = decidedMs === undefined ? {} : { 'decision.timeMs': decidedMs }
      const filter = { _id: id, state: { $in: [...states] }, ...decided }
      const added = {
        ...(audit !== undefined && { auditOutbox: audit }),
        ...(notices.length > 0 && { notices: { $each: [...notices] } }),
      }
      return await requests.findAndUpdate(filter, {
        $set: { ...set, updateTimeMs: nowMs },
        ...(Object.keys(added).length > 0 && { $push: added }),
      })
    },
    countOpen: async ({ user, department }, countMax) => {
      const owned = { 'owner.user': user, 'owner.department': department }
      const state = { $in: ['Asking', 'Waiting', 'Approving'] } as const
      return await requests.count({ ...owned, state }, countMax)
    },
    page: async (query) => {
      const sort = { creationTimeMs: -1, _id: -1 } as const
      return await requests.find(pageFilter(query), { sort, limit: query.limit })
    },
    pageWaiting: async ({ afterId, limit }) => {
      const filter = { state: 'Waiting', for: 'Member', _id: { $gt: afterId } } as const
      return await requests.find(filter, { sort: { _id: 1 }, limit })
    },
    findStuck: async (state, { beforeMs, limit }) =>
      await requests.find({ state, updateTimeMs: { $lt: beforeMs } }, { limit }),
    findTakenBack: async (nowMs, limit) => {
      const filter = { lateUntilMs: { $gt: nowMs }, state: { $ne: 'Approved' } } as const
      return await requests.find(filter, { sort: { lateUntilMs: 1 }, limit })
    },
    findWithNotices: async (limit) => await requests.find({ 'notices.id': { $gt: '' } }, { limit }),
    dropNotices: async (id, noticeIds) => {
      await requests.update({ _id: id }, { $pull: { notices: { id: { $in: [...noticeIds] } } } })
    },
  }
}

function pageFilter({ rows, state, after }: RequestPage): mongo.Filter<CreditRequestRow> {
  return {
    ...visibleFilter(rows),
    state: state ?? { $ne: 'Asking' },
    ...(after === null ? {} : olderThan(after)),
  }
}

function visibleFilter(rows: VisibleRows): mongo.Filter<CreditRequestRow> {
  switch (rows.kind) {
    case 'All':
      return {}
    case 'Department':
      return { 'owner.department': rows.department }
    case 'Own':
      // Also those from a department that they have left.
      return { 'owner.user': rows.user }
    default:
      return unreachable(rows)
  }
}

function olderThan({ creationTimeMs, id }: RequestPosition): mongo.Filter<CreditRequestRow> {
  return {
    $or: [{ creationTimeMs: { $lt: creationTimeMs } }, { creationTimeMs, _id: { $lt: id } }],
  }
}
