import { createHash } from 'node:crypto'
import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents } from '../../../platform/mongo/documents.ts'
import { unreachable } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { VisibleRows } from '../../../shared/domain/permissions.ts'
import type { JobState } from '../../../shared/wire/jobs.ts'
import type { HoldState, JobRow } from './row.ts'

/** The fields that may change after a row was made. */
export type JobChange = Partial<
  Pick<
    JobRow,
    | 'state'
    | 'reason'
    | 'message'
    | 'conditions'
    | 'hold'
    | 'chargedMicroCredits'
    | 'attempt'
    | 'progress'
    | 'outputs'
    | 'cancelRequested'
    | 'cancelSent'
    | 'missingTimeMs'
    | 'startTimeMs'
    | 'completionTimeMs'
    | 'keepUntilMs'
    | 'outputsRemovedTimeMs'
  >
> & { readonly uid?: string }

/** What must still be true for a change to happen. */
export type JobGuard = {
  readonly states?: readonly JobState[]
  readonly holds?: readonly HoldState[]
  readonly revision?: number
  readonly uid?: string | null
  readonly cancelSent?: boolean
}

export type PagePosition = { readonly creationTimeMs: number; readonly jobId: string }

export type PageQuery = {
  readonly rows: VisibleRows
  readonly state: JobState | undefined
  readonly after: PagePosition | null
  readonly limit: number
}

/** Part of all documents in the order of their ids. */
export type IdPage = { readonly afterId: string; readonly limit: number }

/** A client's idempotency key. `_id` is a digest of user and key, so uniqueness lies on `_id`. */
export type KeyDocument = {
  readonly _id: string
  readonly requestHash: string
  readonly jobId: string
  readonly createTimeMs: number
}

export type JobStore = {
  /** False when the id is taken. */
  readonly insert: (row: JobRow) => Promise<boolean>
  readonly get: (jobId: string) => Promise<JobRow | null>
  readonly getMany: (jobIds: readonly string[]) => Promise<readonly JobRow[]>
  /** Changes the row and its revision when the guard holds; null when it does not. */
  readonly change: (jobId: string, guard: JobGuard, change: JobChange) => Promise<JobRow | null>
  /** Writes a snapshot unless a newer one is there or the job has ended: then null. */
  readonly writeProgress: (
    jobId: string,
    progress: NonNullable<JobRow['progress']>,
  ) => Promise<JobRow | null>
  /** Takes a row away that was never accepted. */
  readonly removeAccepting: (jobId: string) => Promise<boolean>
  /** Newest first. */
  readonly page: (query: PageQuery) => Promise<readonly JobRow[]>
  /** Api rows without a known custom resource that nobody has touched since `beforeMs`. */
  readonly findUndispatched: (beforeMs: number, page: IdPage) => Promise<readonly JobRow[]>
  /** Rows whose wish to cancel is not known to have reached the custom resource. */
  readonly findUnsentCancels: (page: IdPage) => Promise<readonly JobRow[]>
  /** Rows that have not ended, by id. */
  readonly pageOpen: (page: IdPage) => Promise<readonly JobRow[]>
  /** All rows, by id: for the audit. */
  readonly pageAll: (page: IdPage) => Promise<readonly JobRow[]>
  /** Ids of a person's running jobs, at most 1,000. */
  readonly runningIds: (userId: string) => Promise<readonly string[]>
  /** How many jobs of an owner wait or run; counts up to `countMax`. */
  readonly countOpen: (owner: OpenOwner, query: OpenQuery) => Promise<number>
  /** Ended rows whose objects are kept no longer, by id. */
  readonly findOutdated: (nowMs: number, limit: number) => Promise<readonly JobRow[]>
  readonly getKey: (id: string) => Promise<KeyDocument | null>
  readonly insertKey: (key: KeyDocument) => Promise<boolean>
  readonly removeKey: (key: Pick<KeyDocument, '_id' | 'jobId'>) => Promise<boolean>
  /** Without an index: once an hour all keys of a few days are looked through. */
  readonly removeKeysBefore: (timeMs: number) => Promise<number>
}

export const openStates = ['Accepting', 'Pending', 'Running'] as const satisfies JobState[]

export function openJobStore(database: Database, clock: Clock): JobStore {
  const jobs = database.documents<JobRow>('jobs')
  const keys = database.documents<KeyDocument>('idempotencyKeys')
  return {
    insert: async (row) => await jobs.insert(row),
    get: async (jobId) => await jobs.findById(jobId),
    getMany: async (ids) =>
      ids.length === 0 ? [] : await jobs.find({ _id: { $in: [...ids] } }, { limit: ids.length }),
    change: async (jobId, guard, change) =>
      await changeRow(jobs, { jobId, guard, change, nowMs: clock.nowMs() }),
    removeAccepting: async (jobId) => await jobs.remove({ _id: jobId, state: 'Accepting' }),
    page: async (query) => await findPage(jobs, query),
    writeProgress: async (jobId, progress) =>
      await writeProgress(jobs, { jobId, progress, nowMs: clock.nowMs() }),
    findUndispatched: async (beforeMs, page) =>
      await findById(jobs, page, {
        state: { $in: ['Accepting', 'Pending'] },
        source: 'Api',
        updateTimeMs: { $lt: beforeMs },
        'resource.uid': null,
      }),
    findUnsentCancels: async (page) =>
      await findById(jobs, page, {
        state: { $in: [...openStates] },
        cancelRequested: true,
        cancelSent: false,
        'resource.uid': { $ne: null },
      }),
    pageOpen: async (page) => await findById(jobs, page, { state: { $in: [...openStates] } }),
    pageAll: async (page) => await findById(jobs, page, {}),
    runningIds: async (userId) =>
      await jobs.findIds({ 'owner.user': userId, state: 'Running' }, runningMax),
    countOpen: async (owner, query) => await countOpen(jobs, owner, query),
    findOutdated: async (nowMs, limit) =>
      await jobs.find({ keepUntilMs: { $lte: nowMs } }, { sort: { keepUntilMs: 1 }, limit }),
    getKey: async (id) => await keys.findById(id),
    insertKey: async (key) => await keys.insert(key),
    removeKey: async ({ _id, jobId }) => await keys.remove({ _id, jobId }),
    removeKeysBefore: async (timeMs) => await keys.removeMany({ createTimeMs: { $lt: timeMs } }),
  }
}

/** As many as one account can have holds for. */
const runningMax = 1000

export type OpenOwner =
  | { readonly department: string; readonly user?: string }
  /** In all departments in which somebody has been. */
  | { readonly user: string; readonly department?: undefined }
export type OpenQuery = { readonly state: 'Waiting' | 'Running'; readonly countMax: number }

const statesOf = { Waiting: ['Accepting', 'Pending'], Running: ['Running'] } as const

async function countOpen(
  jobs: Documents<JobRow>,
  { department, user }: OpenOwner,
  { state, countMax }: OpenQuery,
): Promise<number> {
  const filter = {
    ...(department === undefined ? {} : { 'owner.department': department }),
    ...(user === undefined ? {} : { 'owner.user': user }),
    state: { $in: [...statesOf[state]] },
  }
  return await jobs.count(filter, countMax)
}

export function keyIdOf(userId: string, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([userId, key]))
    .digest('hex')
}

type Changing = {
  readonly jobId: string
  readonly guard: JobGuard
  readonly change: JobChange
  readonly nowMs: number
}

async function changeRow(jobs: Documents<JobRow>, { jobId, guard, change, nowMs }: Changing) {
  const { uid, ...fields } = change
  const set = {
    ...fields,
    updateTimeMs: nowMs,
    ...(uid === undefined ? {} : { 'resource.uid': uid }),
  }
  const filter = {
    _id: jobId,
    ...(guard.states === undefined ? {} : { state: { $in: [...guard.states] } }),
    ...(guard.holds === undefined ? {} : { hold: { $in: [...guard.holds] } }),
    ...(guard.revision === undefined ? {} : { revision: guard.revision }),
    ...(guard.uid === undefined ? {} : { 'resource.uid': guard.uid }),
    ...(guard.cancelSent === undefined ? {} : { cancelSent: guard.cancelSent }),
  }
  return await jobs.findAndUpdate(filter, { $set: set, $inc: { revision: 1 } })
}

async function findById(
  jobs: Documents<JobRow>,
  { afterId, limit }: IdPage,
  filter: mongo.Filter<JobRow>,
) {
  return await jobs.find({ ...filter, _id: { $gt: afterId } }, { sort: { _id: 1 }, limit })
}

type ProgressWrite = {
  readonly jobId: string
  readonly progress: NonNullable<JobRow['progress']>
  readonly nowMs: number
}

async function writeProgress(jobs: Documents<JobRow>, { jobId, progress, nowMs }: ProgressWrite) {
  const { attempt, sequence } = progress
  const isOlder = [
    { progress: null },
    { 'progress.attempt': { $lt: attempt } },
    { 'progress.attempt': attempt, 'progress.sequence': { $lt: sequence } },
  ]
  const filter = { _id: jobId, state: { $in: [...openStates] }, $or: isOlder }
  return await jobs.findAndUpdate(filter, {
    $set: { progress, updateTimeMs: nowMs },
    $inc: { revision: 1 },
  })
}

async function findPage(jobs: Documents<JobRow>, { rows, state, after, limit }: PageQuery) {
  const filter = {
    ...visibleFilter(rows),
    ...(state === undefined ? {} : { state }),
    ...(after === null ? {} : olderThan(after)),
  }
  return await jobs.find(filter, { sort: { creationTimeMs: -1, _id: -1 }, limit })
}

function visibleFilter(rows: VisibleRows) {
  switch (rows.kind) {
    case 'All':
      return {}
    case 'Department':
      return { 'owner.department': rows.department }
    case 'Own':
      return { 'owner.department': rows.department, 'owner.user': rows.user }
    default:
      return unreachable(rows)
  }
}

function olderThan({ creationTimeMs, jobId }: PagePosition) {
  return {
    $or: [{ creationTimeMs: { $lt: creationTimeMs } }, { creationTimeMs, _id: { $lt: jobId } }],
  }
}
