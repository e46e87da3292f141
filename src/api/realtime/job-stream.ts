import type { Clock } from '../../shared/clock.ts'
import type { Progress } from '../../shared/wire/internal.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobEvent } from '../features/jobs/events.ts'
import { isTerminal } from '../features/jobs/row.ts'
import type { JobInbox } from './job-inbox.ts'

export type JobStreamEvent =
  | { readonly kind: 'Job'; readonly view: JobView }
  | { readonly kind: 'Progress'; readonly revision: number; readonly progress: Progress }
  | { readonly kind: 'Heartbeat' }

export type JobStreamParts = {
  /** Reads the job again; fires the signal when the one who watches may not do so any more. */
  readonly read: () => Promise<JobView>
  readonly inbox: JobInbox
  readonly clock: Clock
  /** Between two heartbeats; the row is read again with each, so that lost events do not matter. */
  readonly heartbeatMs: number
  readonly signal: AbortSignal
}

/**
 * The life of one job as full snapshots: the one there is, then each newer one, until the job has
 * ended or the signal fires. Events only wake it up; what it tells comes from the row.
 */
export async function* streamJob(
  parts: JobStreamParts,
): AsyncGenerator<JobStreamEvent, void, undefined> {
  const { read, inbox, clock, heartbeatMs, signal } = parts
  let shown = await read()
  if (signal.aborted) return
  let sequence = 0
  let heartbeatAtMs = clock.nowMs() + heartbeatMs
  yield { kind: 'Job', view: shown }
  while (!isTerminal(shown.state)) {
    const news = await inbox.next(Math.max(0, heartbeatAtMs - clock.nowMs()))
    const isHeartbeat = clock.nowMs() >= heartbeatAtMs
    if (isHeartbeat) {
      heartbeatAtMs = clock.nowMs() + heartbeatMs
      yield { kind: 'Heartbeat' }
    }
    const newest = isHeartbeat || isNews(news, shown) ? await read() : shown
    if (signal.aborted) return
    if (newest.revision > shown.revision) {
      shown = newest
      // The next attempt of a job counts its progress from 1 again.
      sequence = 0
      yield { kind: 'Job', view: shown }
    }
    const progress = progressAfter(sequence, news)
    if (progress === null || isTerminal(shown.state)) continue
    sequence = progress.sequence
    yield { kind: 'Progress', revision: shown.revision, progress }
  }
}

function isNews(event: JobEvent | null, shown: JobView): boolean {
  return event !== null && event.revision > shown.revision
}

function progressAfter(sequence: number, event: JobEvent | null): Progress | null {
  const progress = event?.progress
  return progress !== undefined && progress.sequence > sequence ? progress : null
}
