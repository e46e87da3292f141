import type { WorkQueue, WorkQueueOptions } from '../../platform/kube/work-queue.ts'
import { AdmissionBoard } from './admission-board.ts'
import { HoldMemory } from './hold-memory.ts'
import { reconcile, type ReconcileParts } from './reconcile.ts'
import { WrittenVersions } from './written-versions.ts'

export type Registration = {
  readonly parts: Omit<ReconcileParts, 'board' | 'holds' | 'written'>
  readonly onError: (error: unknown) => void
  readonly startQueue: (reconcile: WorkQueueOptions['reconcile']) => WorkQueue
}

export type RegisteredGenerationJobs = {
  readonly queue: WorkQueue
  readonly board: AdmissionBoard
}

/** Connects the reconcile of GenerationJobs with its queue and the admission board. */
export function registerGenerationJobs({
  parts,
  startQueue,
  onError,
}: Registration): RegisteredGenerationJobs {
  const holds = new HoldMemory()
  const board = new AdmissionBoard({
    caches: parts.caches,
    holds,
    allowCpu: parts.settings.allowCpu,
    clock: parts.clock,
    wake: (key) => queue.add(key),
    onError,
  })
  const all: ReconcileParts = { ...parts, board, holds, written: new WrittenVersions() }
  const queue = startQueue(async (key) => await reconcile(all, key))
  return { queue, board }
}
