import type { Lister } from '../../platform/kube/list-watch.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import { startWorkQueue, type WorkQueue } from '../../platform/kube/work-queue.ts'
import type { DatabaseLease } from '../../platform/mongo/lease.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { relayOutboxes } from '../features/accounts/relay.ts'
import { projectJob } from '../features/jobs/project.ts'
import { compareOnce, type CompareDeps } from './compare.ts'
import { openElection } from './election.ts'
import { startPeriodic } from './periodic.ts'
import { type SweepDeps, sweepOnce } from './sweep.ts'

export type TaskDeps = Omit<CompareDeps, 'project'> &
  SweepDeps & {
    readonly jobs: Lister<GenerationJob>
    readonly lease: DatabaseLease
    readonly random: () => number
    readonly onTaskError: (error: unknown, task: string) => void
  }

export type Tasks = {
  /** Tells the projector that a custom resource has changed. */
  readonly onJobChange: (key: string) => void
  readonly isLeader: () => boolean
  /** Whether the database answered when this replica asked last, a few seconds ago. */
  readonly reachesDatabase: () => boolean
  readonly stop: () => Promise<void>
}

const everyMs = { campaign: 3000, sweep: 5000, relay: 500, compare: 60_000 } as const

/** Starts what one replica does for all: projector, sweep, outbox relay, comparison. */
export function startTasks(deps: TaskDeps): Tasks {
  const projector = startProjector(deps)
  const election = openElection(deps.lease, () => {
    for (const job of deps.jobs.list()) projector.add(keyOf(job))
  })
  const onlyLeader = (task: keyof typeof everyMs, work: () => Promise<unknown>) =>
    startPeriodic({
      everyMs: everyMs[task],
      run: async () => {
        if (election.isLeader()) await work()
      },
      onError: (error) => deps.onTaskError(error, task),
    })
  let reached = false
  const campaign = startPeriodic({
    everyMs: everyMs.campaign,
    run: async () => {
      await election.campaign()
      reached = true
    },
    onError: (error) => {
      reached = false
      deps.onTaskError(error, 'campaign')
    },
  })
  const loops = [
    onlyLeader('sweep', async () => await sweepOnce(deps)),
    onlyLeader('relay', async () => await relayOutboxes(deps.accountStore)),
    onlyLeader('compare', async () => await compareOnce({ ...deps, project: projector.add })),
  ]
  return {
    onJobChange: (key) => {
      if (election.isLeader()) projector.add(key)
    },
    isLeader: election.isLeader,
    reachesDatabase: () => reached,
    stop: async () => {
      await Promise.all([campaign.stop(), projector.stop(), ...loops.map((loop) => loop.stop())])
      await election.resign().catch((error: unknown) => deps.onTaskError(error, 'resign'))
    },
  }
}

/** Takes changed custom resources to their rows; one that is gone is left to the comparison. */
function startProjector(deps: TaskDeps): WorkQueue {
  return startWorkQueue({
    concurrency: 8,
    clock: deps.clock,
    random: deps.random,
    onError: (error) => deps.onTaskError(error, 'project'),
    reconcile: async (key) => {
      const job = deps.jobs.get(key)
      if (job !== undefined) await projectJob(deps, job, deps.clock.nowMs())
      return { kind: 'Done' }
    },
  })
}
