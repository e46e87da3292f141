import { keyOf } from '../platform/kube/resources.ts'
import type { WorkQueue } from '../platform/kube/work-queue.ts'
import { type CacheListeners, type Caches, indexKeys } from './caches.ts'
import type { AdmissionBoard } from './generation-job/admission-board.ts'
import { isTerminal } from './generation-job/eligibility.ts'
import { jobsWithoutPod } from './generation-job/pooled-view.ts'
import type { KueueListeners } from './kueue/kueue.ts'
import type { PoolKey } from './model-pool/names.ts'
import type { RegisteredModelPools } from './model-pool/register.ts'
import type { QueueName } from './metrics.ts'
import type { QueueDesk } from './queue/desk.ts'

/** What the listeners wake, once it exists. */
export type Wired = {
  readonly caches: Caches
  readonly queues: Readonly<Record<QueueName, WorkQueue>>
  readonly board: AdmissionBoard
  readonly queueDesk: Pick<QueueDesk, 'noteJob'>
  readonly pools: Pick<RegisteredModelPools, 'board' | 'states'>
}

/** Changes only enqueue keys; which keys depends on each other is all that is known here. */
export function listenersOf(wired: { readonly current?: Wired }): CacheListeners {
  const wake = (listener: (wired: Wired) => void) => {
    if (wired.current !== undefined) listener(wired.current)
  }
  return {
    onGenerationJob: (key) => wake((parts) => onGenerationJob(parts, key)),
    onAttempt: (uid) => wake((parts) => onAttempt(parts, uid)),
    onModelPool: (key) => wake((parts) => onModelPool(parts, key)),
    onPoolChild: (key) => wake((parts) => onPoolChild(parts, key)),
    onModel: (name) => wake((parts) => onModel(parts, name)),
    onDepartment: (name) => wake((parts) => onDepartment(parts, name)),
    onNode: () => wake(onNode),
    onNamespace: (name) => wake((parts) => onNamespace(parts, name)),
  }
}

/** Changes of Kueue: its Workloads are about jobs, its coming and going about all of them. */
export function kueueListenersOf(wired: { readonly current?: Wired }): KueueListeners {
  return {
    onWorkload: (uid) => {
      if (wired.current !== undefined) wakeJob(wired.current, uid)
    },
    onChange: () => {
      if (wired.current !== undefined) onKueue(wired.current)
    },
  }
}

function wakeJob({ caches, queues }: Wired, uid: string): void {
  for (const job of caches.generationJobs.listIndexed(indexKeys.uid(uid))) {
    queues['generation-job'].add(keyOf(job))
  }
}

function onKueue({ caches, queues, board }: Wired): void {
  board.noteAll()
  for (const job of caches.generationJobs.listIndexed(indexKeys.open)) {
    queues['generation-job'].add(keyOf(job))
  }
}

function onGenerationJob({ queues, board, queueDesk }: Wired, key: string): void {
  queues['generation-job'].add(key)
  board.noteJob(key)
  queueDesk.noteJob(key)
}

function onAttempt({ caches, queues, board }: Wired, uid: string): void {
  for (const job of caches.generationJobs.listIndexed(indexKeys.uid(uid))) {
    queues['generation-job'].add(keyOf(job))
    board.noteJob(keyOf(job))
  }
  // Also when the job is gone: its GPUs are free.
  board.touch()
}

function onModel({ caches, queues, board }: Wired, name: string): void {
  queues.model.add(name)
  for (const job of caches.generationJobs.listIndexed(indexKeys.model(name))) {
    if (!isTerminal(job)) queues['generation-job'].add(keyOf(job))
  }
  for (const pool of caches.modelPools.listIndexed(indexKeys.model(name))) {
    queues['model-pool'].add(keyOf(pool))
  }
  board.noteModel(name)
}

function onModelPool({ queues, board }: Wired, key: PoolKey): void {
  queues['model-pool'].add(key)
  board.touch()
}

/** A pod that has become ready is asked for its slots at once. */
function onPoolChild({ caches, queues, board, pools }: Wired, key: PoolKey): void {
  queues['model-pool'].add(key)
  for (const { uid, ready, state } of pools.board.podsOf(key)) {
    if (ready !== (state !== undefined)) pools.states.refresh(uid)
  }
  for (const job of jobsWithoutPod(caches, key)) queues['generation-job'].add(keyOf(job))
  board.touch()
}

/** With GPUs that come or go, pools may be served, or run on processors. */
function onNode({ caches, queues, board }: Wired): void {
  for (const pool of caches.modelPools.list()) queues['model-pool'].add(keyOf(pool))
  board.noteNodes()
}

function onDepartment({ queues, board }: Wired, name: string): void {
  queues.department.add(name)
  board.touch()
}

function onNamespace({ caches, queues }: Wired, name: string): void {
  for (const { metadata, spec } of caches.departments.list()) {
    if (spec.namespace === name) queues.department.add(metadata.name)
  }
  for (const pool of caches.modelPools.list()) {
    if (pool.metadata.namespace === name) queues['model-pool'].add(keyOf(pool))
  }
}
