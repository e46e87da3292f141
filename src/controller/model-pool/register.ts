import type { WorkQueue, WorkQueueOptions } from '../../platform/kube/work-queue.ts'
import { WrittenVersions } from '../written-versions.ts'
import type { PoolClient } from '../pool-client.ts'
import { ClaimTemplates } from './claim-templates.ts'
import { PoolBoard } from './pool-board.ts'
import { type PoolStates, startPoolStates } from './pool-states.ts'
import { type PoolReconcileParts, reconcileModelPool } from './reconcile.ts'

export type PoolRegistration = {
  readonly parts: Omit<PoolReconcileParts, 'board' | 'written' | 'keysSeen' | 'templates'>
  readonly poolClient: Pick<PoolClient, 'state'>
  readonly startQueue: (
    name: 'model-pool' | 'pool-pod',
    reconcile: WorkQueueOptions['reconcile'],
  ) => WorkQueue
  /** Slots may have become free, or may be so no longer. */
  readonly onChange: () => void
}

export type RegisteredModelPools = {
  readonly queue: WorkQueue
  readonly board: PoolBoard
  readonly states: PoolStates
}

/** Connects the reconcile of ModelPools, their board and the questions to their pods. */
export function registerModelPools({
  parts,
  poolClient,
  startQueue,
  onChange,
}: PoolRegistration): RegisteredModelPools {
  const { caches, clock, settings } = parts
  const board = new PoolBoard({
    caches,
    clock,
    allowCpu: settings.allowCpu,
    wake: (key, afterMs) => (afterMs === 0 ? queue.add(key) : queue.addAfter(key, afterMs)),
    onChange,
  })
  const all: PoolReconcileParts = {
    ...parts,
    board,
    written: new WrittenVersions(clock),
    keysSeen: new Map(),
    templates: new ClaimTemplates(parts.client),
  }
  const queue = startQueue('model-pool', async (key) => await reconcileModelPool(all, key))
  const states = startPoolStates({
    board,
    client: poolClient,
    startQueue: (reconcile) => startQueue('pool-pod', reconcile),
  })
  return { queue, board, states }
}
