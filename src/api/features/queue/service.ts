import type { QueueView } from '../../../shared/wire/queue-view.ts'
import { queueJobsMax } from '../../../shared/wire/queue.ts'
import type { JobRow } from '../jobs/row.ts'
import { describeWaiting, needsLeader } from './describe.ts'
import type { Leader } from './leader.ts'

/** Why jobs wait. */
export type QueueDesk = {
  /**
   * How each of at most 200 jobs stands in the queue, by job id; null for one that does not wait.
   * One question to the leader at most, and none where the row itself says why.
   */
  readonly describe: (rows: readonly JobRow[]) => Promise<ReadonlyMap<string, QueueView | null>>
}

export function openQueueDesk(leader: Pick<Leader, 'explain'>): QueueDesk {
  return {
    describe: async (rows) => {
      const uids = rows.filter(needsLeader).flatMap(({ resource }) => resource.uid ?? [])
      const asked = uids.slice(0, queueJobsMax)
      const answer = asked.length === 0 ? null : await leader.explain({ uids: asked })
      const live = new Map((answer?.jobs ?? []).map((job) => [job.uid, job]))
      return new Map(
        rows.map((row) => [row._id, describeWaiting(row, live.get(row.resource.uid ?? ''))]),
      )
    },
  }
}
