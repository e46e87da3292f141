import { creditedTo, type Entry, pieceOf, sides } from '../../../shared/domain/account-entry.ts'
import { withPieces } from '../../../shared/domain/account.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import type { EntryView, PersonRef } from '../../../shared/wire/ledger.ts'
import type { JobRow } from '../jobs/row.ts'
import type { JobStore } from '../jobs/store.ts'
import type { UserRow, UserStore } from '../users/store.ts'
import { nameOf } from './account-list.ts'
import { toTime } from './account-views.ts'

export type EntryViewParts = {
  readonly users: Pick<UserStore, 'findMany'>
  readonly jobStore: Pick<JobStore, 'getMany'>
}

/** What an entry did to its account, in micro-credits. */
export type EntryFigures = {
  /** Of what the account owns, free and held together. */
  readonly change: number
  readonly held: number
}

export type DescribedEntry = EntryFigures & {
  readonly entry: Entry
  readonly by: PersonRef | null
  readonly job: EntryView['job']
}

/** Jobs and names of a page of entries, by one query each. */
export async function describeEntries(
  { users, jobStore }: EntryViewParts,
  entries: readonly Entry[],
): Promise<readonly DescribedEntry[]> {
  const personIds = entries.flatMap(({ note }) => (note === null ? [] : [note.by]))
  const jobIds = entries.flatMap(({ jobId }) => (jobId === null ? [] : [jobId]))
  const [people, jobs] = await Promise.all([
    users.findMany([...new Set(personIds)]),
    jobStore.getMany([...new Set(jobIds)]),
  ])
  const peopleById = new Map(people.map((one) => [one._id, one]))
  const jobsById = new Map(jobs.map((one) => [one._id, one]))
  return entries.map((entry) => ({
    entry,
    ...figuresOf(entry),
    by: toPersonRef(entry.note === null ? undefined : peopleById.get(entry.note.by)),
    job: toJob(entry.jobId === null ? undefined : jobsById.get(entry.jobId)),
  }))
}

export function toEntryView({ entry, change, held, by, job }: DescribedEntry): EntryView {
  const { _id, kind, timeMs, seq, note, hash } = entry
  return {
    id: _id,
    kind,
    time: new Date(timeMs).toISOString(),
    seq,
    credits: formatCredits(change),
    held: formatCredits(held),
    lots: toLots(entry),
    reason: note === null || note.reason === '' ? null : note.reason,
    by,
    job,
    hash,
  }
}

/** What is on its way is not the account's. */
function figuresOf(entry: Entry): EntryFigures {
  const { available, held } = sides
  const changeOf = (side: string) => creditedTo(entry, side) - debitedFrom(entry, side)
  const change = changeOf(held(entry.accountId))
  return { change: change + changeOf(available(entry.accountId)), held: change }
}

function debitedFrom({ postings }: Entry, side: string): number {
  return postings
    .filter(({ debit }) => debit === side)
    .reduce((total, { microCredits }) => total + microCredits, 0)
}

function toLots({ postings }: Entry): EntryView['lots'] {
  return withPieces([], postings.map(pieceOf)).map(({ id, microCredits, expiresMs }) => {
    return { id, credits: formatCredits(microCredits), expiresTime: toTime(expiresMs) }
  })
}

/** Null for a task of the platform: it has no row. */
function toPersonRef(person: UserRow | undefined): PersonRef | null {
  return person === undefined ? null : { id: person._id, name: nameOf(person) }
}

function toJob(row: JobRow | undefined): EntryView['job'] {
  if (row === undefined) return null
  const { _id: id, task, model, state } = row
  return { id, task, model, state, url: `/v1/jobs/${id}` }
}
