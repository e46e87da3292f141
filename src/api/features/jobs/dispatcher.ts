import { startWorkQueue } from '../../../platform/kube/work-queue.ts'
import { dispatchJob, type DispatchDeps, sendCancel } from './dispatch.ts'

export type Dispatcher = {
  /** Takes an accepted job, or its wish to cancel, to the API server; returns at once. */
  readonly wake: (jobId: string) => void
  /** Waits for what runs; what waits is left to the sweep. */
  readonly stop: () => Promise<void>
}

export type DispatcherDeps = DispatchDeps & {
  readonly random: () => number
  readonly log: { readonly warn: (fields: object, sentence: string) => void }
}

const limits = { concurrency: 16, waiting: 5000 } as const

/** The fast path of step 4; the sweep is the sure one, so a full queue may drop a key. */
export function startDispatcher(deps: DispatcherDeps): Dispatcher {
  const queue = startWorkQueue({
    concurrency: limits.concurrency,
    clock: deps.clock,
    random: deps.random,
    onError: (error, jobId) =>
      deps.log.warn({ err: error, jobId }, 'a dispatch failed; again soon'),
    reconcile: async (jobId) => {
      await dispatchJob(deps, jobId)
      const row = await deps.store.get(jobId)
      if (row?.cancelRequested === true) await sendCancel(deps, row)
      return { kind: 'Done' }
    },
  })
  return {
    wake: (jobId) => {
      if (queue.depth() < limits.waiting) queue.add(jobId)
    },
    stop: queue.stop,
  }
}
