import type { PubSub } from '../../platform/redis/pub-sub.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobChanges } from '../features/jobs/changes.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { ClientSocket } from './client-socket.ts'
import { errorFrame, jobFrame } from './socket-frames.ts'
import type { SocketHub } from './socket-hub.ts'
import type { SocketRegister } from './socket-register.ts'

export type WatchParts = {
  readonly register: SocketRegister
  readonly hub: SocketHub
  readonly changes: Pick<JobChanges, 'rows'>
  readonly pubSub: Pick<PubSub, 'flushed'>
  readonly toView: (row: JobRow) => JobView
}

/**
 * Lets a socket watch these jobs and no others. A job that it may not see is told to be unknown,
 * in the same way as one that does not exist. Of two wishes at the same time the newer counts.
 */
export async function watchJobs(
  { register, hub, changes, pubSub, toView }: WatchParts,
  socket: ClientSocket,
  jobIds: readonly string[],
): Promise<void> {
  const wish = (socket.wishes += 1)
  const visible = async (ids: readonly string[]): Promise<readonly JobRow[]> => {
    const found: JobRow[] = []
    for await (const rows of changes.rows(ids)) found.push(...rows)
    return found.filter(({ owner }) => socket.canSeeJob(owner))
  }
  const allowed = new Set((await visible(jobIds)).map(({ _id }) => _id))
  if (!socket.isOpen || socket.wishes !== wish) return
  register.watch(socket, [...allowed])
  await pubSub.flushed()
  // Read again, now that nothing more can be missed.
  for (const row of await visible([...allowed])) hub.send(socket, jobFrame(toView(row)))
  for (const jobId of new Set(jobIds)) {
    if (allowed.has(jobId)) continue
    hub.send(socket, errorFrame('job.not_found', 'there is no such job', jobId))
  }
  hub.flush()
}
