import type { WorkQueue, WorkQueueOptions } from '../../platform/kube/work-queue.ts'
import { STRAY_SWEEP_MS } from '../limits.ts'
import type { PoolBoard } from '../model-pool/pool-board.ts'
import type { PoolStates } from '../model-pool/pool-states.ts'
import type { RegisteredModelPools } from '../model-pool/register.ts'
import type { PoolClient } from '../pool-client.ts'
import { AdmissionBoard } from './admission-board.ts'
import { HoldMemory } from './hold-memory.ts'
import { PoolAssignments } from './pool-assignments.ts'
import type { PoolAnswers, SlotAssignment } from './pool-watcher.ts'
import { reconcile, type ReconcileParts } from './reconcile.ts'
import { StraySlots } from './stray-slots.ts'
import { workGroupOf } from './work-group.ts'
import { WrittenVersions } from '../written-versions.ts'

export type Registration = {
  readonly parts: Omit<ReconcileParts, 'assignments' | 'board' | 'holds' | 'written'>
  readonly pools: Pick<RegisteredModelPools, 'board' | 'states'>
  readonly poolClient: PoolClient
  readonly random: () => number
  readonly onError: (error: unknown, part: 'admission' | 'pool') => void
  readonly startQueue: (work: Pick<WorkQueueOptions, 'reconcile' | 'groupOf'>) => WorkQueue
}

export type RegisteredGenerationJobs = {
  readonly queue: WorkQueue
  readonly board: AdmissionBoard
  /** Ends what is not the queue. What runs in pods goes on. */
  readonly stop: () => Promise<void>
}

/** Connects the reconcile of GenerationJobs with its queue, the admission board and the pools. */
export function registerGenerationJobs({
  parts,
  pools,
  poolClient,
  random,
  onError,
  startQueue,
}: Registration): RegisteredGenerationJobs {
  const holds = new HoldMemory()
  const wake = (key: string) => queue.add(key)
  const board = new AdmissionBoard({
    caches: parts.caches,
    holds,
    pools: pools.board,
    allowCpu: parts.settings.allowCpu,
    quotaOf: (job) => parts.kueue.queueOf(job),
    clock: parts.clock,
    wake,
    onError: (error) => onError(error, 'admission'),
  })
  const assignments = new PoolAssignments({
    client: poolClient,
    clock: parts.clock,
    random,
    wake,
    onOver: (assignment, answers) => freeSlot(pools, assignment, answers),
    onError: (error) => onError(error, 'pool'),
  })
  const all: ReconcileParts = {
    ...parts,
    assignments,
    board,
    holds,
    written: new WrittenVersions(parts.clock),
  }
  const queue = startQueue({
    reconcile: async (key) => await reconcile(all, key),
    groupOf: (key) => {
      return workGroupOf(parts.caches.generationJobs.get(key), (uid) => board.hasPlace(uid))
    },
  })
  const strays = new StraySlots({ caches: parts.caches, pools: pools.board, clock: parts.clock })
  const sweep = setInterval(() => {
    for (const stray of strays.find()) assignments.cancelStray(stray)
  }, STRAY_SWEEP_MS)
  return {
    queue,
    board,
    stop: async () => {
      clearInterval(sweep)
      board.stop()
      await assignments.stop()
    },
  }
}

type SlotHolders = {
  readonly board: Pick<PoolBoard, 'release'>
  readonly states: Pick<PoolStates, 'refresh'>
}

/**
 * A pod that did not do as its slots promised has changed since it was asked. So has a slot whose
 * job did not come to a good end: it may load its model anew before it takes another one.
 */
export function freeSlot(
  { board, states }: SlotHolders,
  { podUID, uid, attempt }: SlotAssignment,
  { cause, reason }: Pick<PoolAnswers, 'cause' | 'reason'>,
): void {
  board.release({ pod: podUID, uid, attempt })
  if (cause !== 'Ended' || reason !== 'Completed') states.refresh(podUID)
}
