import { keyOf } from '../platform/kube/resources.ts'
import type { WorkQueue } from '../platform/kube/work-queue.ts'
import { type CacheListeners, type Caches, indexKeys } from './caches.ts'
import type { AdmissionBoard } from './generation-job/admission-board.ts'
import { isTerminal } from './generation-job/eligibility.ts'
import type { QueueName } from './metrics.ts'

/** What the listeners wake, once it exists. */
export type Wired = {
  readonly caches: Caches
  readonly queues: Readonly<Record<QueueName, WorkQueue>>
  readonly board: AdmissionBoard
}

/** Changes only enqueue keys; which keys depends on each other is all that is known here. */
export function listenersOf(wired: { readonly current?: Wired }): CacheListeners {
  const wake = (listener: (wired: Wired) => void) => {
    if (wired.current !== undefined) listener(wired.current)
  }
  return {
    onGenerationJob: (key) => wake((parts) => onGenerationJob(parts, key)),
    onAttempt: (uid) => wake((parts) => onAttempt(parts, uid)),
    onModel: (name) => wake((parts) => onModel(parts, name)),
    onDepartment: (name) => wake((parts) => onDepartment(parts, name)),
    onNode: () => wake(({ board }) => board.touch()),
    onNamespace: (name) => wake((parts) => onNamespace(parts, name)),
  }
}

function onGenerationJob({ queues, board }: Wired, key: string): void {
  queues['generation-job'].add(key)
  board.touch()
}

function onAttempt({ caches, queues, board }: Wired, uid: string): void {
  for (const job of caches.generationJobs.listIndexed(indexKeys.uid(uid))) {
    queues['generation-job'].add(keyOf(job))
  }
  board.touch()
}

function onModel({ caches, queues, board }: Wired, name: string): void {
  queues.model.add(name)
  for (const job of caches.generationJobs.listIndexed(indexKeys.model(name))) {
    if (!isTerminal(job)) queues['generation-job'].add(keyOf(job))
  }
  board.touch()
}

function onDepartment({ queues, board }: Wired, name: string): void {
  queues.department.add(name)
  board.touch()
}

function onNamespace({ caches, queues }: Wired, name: string): void {
  for (const { metadata, spec } of caches.departments.list()) {
    if (spec.namespace === name) queues.department.add(metadata.name)
  }
}
