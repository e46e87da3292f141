import type { Lister } from '../../platform/kube/list-watch.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import { startWorkQueue, type WorkQueue } from '../../platform/kube/work-queue.ts'
import type { DatabaseLease } from '../../platform/mongo/lease.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { DepartmentSync } from '../features/departments/sync.ts'
import type { LeaderTask } from '../people.ts'
import { relayOutboxes } from '../features/accounts/relay.ts'
import { projectJob } from '../features/jobs/project.ts'
import type { LedgerWatch } from './audit/ledger-watch.ts'
import { compareOnce, type CompareDeps } from './compare.ts'
import { openElection } from './election.ts'
import { startPeriodic } from './periodic.ts'
import { type SweepDeps, sweepOnce } from './sweep.ts'

export type TaskDeps = Omit<CompareDeps, 'project'> &
  SweepDeps & {
    readonly jobs: Lister<GenerationJob>
    readonly departmentSync: Pick<DepartmentSync, 'wake' | 'wakeAll'>
    readonly ledgerWatch: LedgerWatch
    readonly lease: DatabaseLease
    readonly random: () => number
    /** Work of the features, beside the jobs'. */
    readonly leaderTasks: readonly LeaderTask[]
    readonly onTaskError: (error: unknown, task: string) => void
  }

export type Tasks = {
  /** Tells the projector that a custom resource has changed. */
  readonly onJobChange: (key: string) => void
  readonly onDepartmentChange: (name: string) => void
  readonly isLeader: () => boolean
  /** Whether the database answered when this replica asked last, a few seconds ago. */
  readonly reachesDatabase: () => boolean
  readonly stop: () => Promise<void>
}

const campaignMs = 3000

/** Starts what one replica does for all: projector, sweep, outbox relay, comparison. */
export function startTasks(deps: TaskDeps): Tasks {
  const { departmentSync } = deps
  const projector = startProjector(deps)
  const election = openElection(deps.lease, () => {
    deps.ledgerWatch.begin()
    for (const job of deps.jobs.list()) projector.add(keyOf(job))
    departmentSync.wakeAll().catch((error: unknown) => deps.onTaskError(error, 'departments'))
  })
  const onlyLeader = ({ name, everyMs, run }: LeaderTask) =>
    startPeriodic({
      everyMs,
      run: async () => {
        if (election.isLeader()) await run()
      },
      onError: (error) => deps.onTaskError(error, name),
    })
  let reached = false
  const campaign = startPeriodic({
    everyMs: campaignMs,
    run: async () => {
      await election.campaign()
      reached = true
    },
    onError: (error) => {
      reached = false
      deps.onTaskError(error, 'campaign')
    },
  })
  const compare = async () => await compareOnce({ ...deps, project: projector.add })
  const tasks: readonly LeaderTask[] = [
    { name: 'sweep', everyMs: 5000, run: async () => await sweepOnce(deps) },
    { name: 'relay', everyMs: 2000, run: async () => await relay(deps) },
    { name: 'compare', everyMs: 60_000, run: compare },
    { name: 'departments', everyMs: 60_000, run: departmentSync.wakeAll },
    deps.ledgerWatch.task,
    ...deps.leaderTasks,
  ]
  const loops = tasks.map(onlyLeader)
  return {
    onJobChange: (key) => {
      if (election.isLeader()) projector.add(key)
    },
    onDepartmentChange: (name) => {
      if (election.isLeader()) departmentSync.wake(name)
    },
    isLeader: election.isLeader,
    reachesDatabase: () => reached,
    stop: async () => {
      await Promise.all([campaign.stop(), projector.stop(), ...loops.map((loop) => loop.stop())])
      await election.resign().catch((error: unknown) => deps.onTaskError(error, 'resign'))
    },
  }
}

/** What replicas that died left in their outboxes; a living one relays its own at once. */
async function relay({ accountStore, accounts, ledgerWatch }: TaskDeps): Promise<void> {
  const store = ledgerWatch.observe(accountStore)
  await relayOutboxes({ store, receive: accounts.receive })
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
