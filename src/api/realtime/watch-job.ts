import type { Readable } from 'node:stream'
import type { Clock } from '../../shared/clock.ts'
import type { Caller } from '../../shared/domain/caller.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobEvents } from '../features/jobs/events.ts'
import { isTerminal } from '../features/jobs/row.ts'
import type { JobService } from '../features/jobs/service.ts'
import type { IdentityChanges } from '../features/users/identity-changes.ts'
import type { SignedIn } from '../plugins/route-config.ts'
import { toFrame } from './event-frames.ts'
import { openJobInbox } from './job-inbox.ts'
import { type JobStreamEvent, streamJob } from './job-stream.ts'
import type { OpenStreams, StreamSeat } from './open-streams.ts'
import { type AccessParts, findAccessEnd } from './socket-access.ts'

export type WatchParts = {
  readonly jobs: Pick<JobService, 'snapshot'>
  readonly events: JobEvents
  readonly streams: OpenStreams
  readonly clock: Clock
  readonly heartbeatMs: number
  readonly people: { readonly changes: Pick<IdentityChanges, 'listen'> }
  readonly access: AccessParts
}

export type JobWatch = {
  /** Server-sent events as a body. Errors: `job.not_found`, `rate.limited`. */
  readonly stream: (signedIn: SignedIn, jobId: string) => Promise<Readable>
  /**
   * The job once it has ended, or as it is when the time is over or the signal fires.
   * Errors: `rate.limited`.
   */
  readonly waitForEnd: (signedIn: SignedIn, job: JobView, wait: Wait) => Promise<JobView>
}

export type Wait = { readonly timeoutMs: number; readonly signal: AbortSignal }

export function createJobWatch(deps: WatchParts): JobWatch {
  const { jobs, events, streams, access, ...parts } = deps
  const watch = ({ caller, expiresMs }: SignedIn, jobId: string, lifeMs: number) => {
    const untilExpiryMs = Math.max(0, expiresMs - parts.clock.nowMs())
    const seat = streams.open(caller.userId, { lifeMs: Math.min(lifeMs, untilExpiryMs) })
    const { signal } = seat
    endOnChange(parts.people.changes, caller, seat)
    const inbox = openJobInbox(events, jobId, signal)
    const read = async (): Promise<JobView> => {
      // No event tells what changed before we listened, or while Redis was away.
      const end = await findAccessEnd(access, caller)
      if (end !== null) seat.end(end)
      return await jobs.snapshot(caller, jobId)
    }
    return { seat, snapshots: streamJob({ ...parts, read, inbox, signal }) }
  }
  return {
    stream: async (signedIn, jobId) => {
      await jobs.snapshot(signedIn.caller, jobId)
      const { seat, snapshots } = watch(signedIn, jobId, Number.MAX_SAFE_INTEGER)
      return streams.toBody(seat, toFrames(snapshots))
    },
    waitForEnd: async (signedIn, job, { timeoutMs, signal: gone }) => {
      if (isTerminal(job.state) || gone.aborted) return job
      const { seat, snapshots } = watch(signedIn, job.id, timeoutMs)
      gone.addEventListener('abort', () => seat.end('reader_gone'), { once: true })
      try {
        return await lastOf(job, snapshots)
      } finally {
        seat.end('finished')
      }
    },
  }
}

/** Whoever may still read comes back with a request, and that one is looked at anew. */
function endOnChange(
  changes: Pick<IdentityChanges, 'listen'>,
  { userId, sessionId }: Caller,
  seat: StreamSeat,
): void {
  const listening = changes.listen((change) => {
    const isOtherSession = change.kind === 'Session' && change.sessionId !== sessionId
    if (change.userId === userId && !isOtherSession) seat.end('access_changed')
  })
  seat.signal.addEventListener('abort', listening.close, { once: true })
}

async function* toFrames(
  snapshots: AsyncIterable<JobStreamEvent>,
): AsyncGenerator<string, void, undefined> {
  for await (const snapshot of snapshots) yield toFrame(snapshot)
}

async function lastOf(first: JobView, snapshots: AsyncIterable<JobStreamEvent>): Promise<JobView> {
  let last = first
  for await (const snapshot of snapshots) if (snapshot.kind === 'Job') last = snapshot.view
  return last
}
