import type { PubSub } from '../../platform/redis/pub-sub.ts'
import type { JobView } from '../../shared/wire/jobs.ts'
import type { JobChanges } from '../features/jobs/changes.ts'
import type { JobRow } from '../features/jobs/row.ts'
import type { ClientSocket } from './client-socket.ts'
import { errorFrame, type Frame, jobFrame } from './socket-frames.ts'
import type { SocketRegister } from './socket-register.ts'

export type WatchParts = {
  readonly register: SocketRegister
  readonly changes: Pick<JobChanges, 'rows'>
  readonly pubSub: Pick<PubSub, 'flushed'>
  readonly toView: (row: JobRow) => JobView
}

/**
 * Lets a socket watch these jobs and no others. A job that it may not see is told to be unknown,
 * in the same way as one that does not exist. Of two wishes at the same time the newer counts.
 */
export async function watchJobs(
  { register, changes, pubSub, toView }: WatchParts,
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
  // Read again, now that nothing more can be missed, and one by one: a whole job may be large.
  for (const jobId of new Set(jobIds)) {
    await socket.drained()
    if (!socket.isOpen || socket.wishes !== wish) return
    const [row] = allowed.has(jobId) ? await visible([jobId]) : []
    await socket.deliver(row === undefined ? unknownJob(jobId) : jobFrame(toView(row)))
  }
}

function unknownJob(jobId: string): Frame {
  return errorFrame('job.not_found', 'there is no such job', jobId)
}
