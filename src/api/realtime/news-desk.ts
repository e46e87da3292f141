import type { Clock } from '../../shared/clock.ts'
import type { Progress } from '../../shared/wire/internal.ts'
import type { JobChanges } from '../features/jobs/changes.ts'
import type { JobEvent } from '../features/jobs/events.ts'
import { isTerminal, type JobRow } from '../features/jobs/row.ts'

/** What was told last about a job. */
type Told = {
  readonly owner: JobRow['owner']
  readonly isTerminal: boolean
  readonly revision: number
  /** Of the newest progress since that revision. */
  sequence: number
}

export type ToldProgress = {
  readonly jobId: string
  readonly owner: JobRow['owner']
  readonly revision: number
  readonly progress: Progress
}

/** Where news go. */
export type NewsAudience = {
  readonly job: (row: JobRow) => void
  readonly progress: (news: ToldProgress) => void
  /** At the end of a turn. */
  readonly flush: () => void
}

/**
 * News about jobs of all sockets of this process. Events only say that something has changed: each
 * turn reads the rows of all changed jobs at once and tells each newest state once.
 */
export type NewsDesk = {
  readonly add: (event: JobEvent) => void
  /** Tells a row that was read for another reason, unless it is known. */
  readonly tell: (row: JobRow) => void
  readonly stop: () => void
}

export type NewsDeskParts = {
  readonly changes: Pick<JobChanges, 'rows'>
  readonly audience: NewsAudience
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}

/** Between two turns; what comes meanwhile is told together. */
const pauseMsMin = 20
const pauseMsMax = 500
const jobsPerTurnMax = 1000
/** More changed jobs than this are left to the sockets' regular look at the database. */
const waitingMax = 10_000
const toldMax = 20_000

export function openNewsDesk(parts: NewsDeskParts): NewsDesk {
  const waiting = new Map<string, JobEvent>()
  const told = new Map<string, Told>()
  let timer: NodeJS.Timeout | undefined
  let state: 'idle' | 'busy' | 'stopped' = 'idle'
  const wake = (): void => {
    if (state !== 'idle' || waiting.size === 0) return
    state = 'busy'
    const beganMs = parts.clock.nowMs()
    void takeTurn(parts, { news: takeSome(waiting), told })
      .catch(parts.onError)
      .finally(() => rest(parts.clock.nowMs() - beganMs))
  }
  const rest = (turnMs: number): void => {
    if (state === 'stopped') return
    timer = setTimeout(
      () => {
        state = 'idle'
        wake()
      },
      // Half of the time is left to requests, however much there is to tell.
      Math.min(Math.max(pauseMsMin, turnMs), pauseMsMax),
    )
  }
  return {
    add: (event) => {
      const known = waiting.get(event.jobId)
      if (known === undefined && waiting.size >= waitingMax) return
      waiting.set(event.jobId, merge(known, event))
      wake()
    },
    tell: (row) => tell(parts.audience, told, row),
    stop: () => {
      state = 'stopped'
      clearTimeout(timer)
      waiting.clear()
    },
  }
}

/** An event without progress does not make a waiting one forgotten. */
function merge(older: JobEvent | undefined, newer: JobEvent): JobEvent {
  const progress = newer.progress ?? older?.progress
  const revision = Math.max(older?.revision ?? 0, newer.revision)
  return { jobId: newer.jobId, revision, ...(progress !== undefined && { progress }) }
}

function takeSome(waiting: Map<string, JobEvent>): readonly JobEvent[] {
  const news = [...waiting.values()].slice(0, jobsPerTurnMax)
  for (const { jobId } of news) waiting.delete(jobId)
  return news
}

type Turn = { readonly news: readonly JobEvent[]; readonly told: Map<string, Told> }

/** A read that fails drops these news: the sockets' regular look finds what they were about. */
async function takeTurn({ changes, audience }: NewsDeskParts, { news, told }: Turn): Promise<void> {
  const changed = news.filter(({ jobId, revision }) => revision > (told.get(jobId)?.revision ?? -1))
  for await (const rows of changes.rows(changed.map(({ jobId }) => jobId))) {
    for (const row of rows) tell(audience, told, row)
    audience.flush()
  }
  for (const event of news) tellProgress(audience, told, event)
  audience.flush()
}

function tell(audience: NewsAudience, told: Map<string, Told>, row: JobRow): void {
  const { _id, owner, revision, state } = row
  if (revision <= (told.get(_id)?.revision ?? -1)) return
  // The next attempt of a job counts its progress from 1 again, so that it begins anew here too.
  told.delete(_id)
  told.set(_id, { owner, revision, isTerminal: isTerminal(state), sequence: 0 })
  if (told.size > toldMax) told.delete(told.keys().next().value ?? '')
  audience.job(row)
}

function tellProgress(
  audience: NewsAudience,
  told: Map<string, Told>,
  { jobId, progress }: JobEvent,
): void {
  const known = told.get(jobId)
  if (known === undefined || known.isTerminal || progress === undefined) return
  if (progress.sequence <= known.sequence) return
  known.sequence = progress.sequence
  audience.progress({ jobId, owner: known.owner, revision: known.revision, progress })
}
