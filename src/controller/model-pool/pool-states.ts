import type { WorkQueue, WorkQueueOptions } from '../../platform/kube/work-queue.ts'
import type { PoolPodState } from '../../shared/wire/pool.ts'
import { POOL_STATE_MS, POOL_STATE_SOON_MS } from '../limits.ts'
import type { PoolClient } from '../pool-client.ts'
import type { PoolBoard } from './pool-board.ts'
import { isAskable } from './pool-pod.ts'

export type PoolStatesOptions = {
  readonly board: PoolBoard
  readonly client: Pick<PoolClient, 'state'>
  readonly startQueue: (reconcile: WorkQueueOptions['reconcile']) => WorkQueue
}

/** Asks the pods of pools what their slots do, and tells the board. */
export type PoolStates = {
  readonly queue: WorkQueue
  /** Asks the pod with this uid soon. */
  readonly refresh: (podUid: string) => void
  readonly stop: () => Promise<void>
}

export function startPoolStates({ board, client, startQueue }: PoolStatesOptions): PoolStates {
  const stopping = new AbortController()
  /** Pods that did not answer the last time. */
  const silent = new Set<string>()
  const queue = startQueue(async (podUid) => {
    const pod = board.podOf(podUid)
    if (pod === undefined || !isAskable(pod)) {
      silent.delete(podUid)
      board.noteState(podUid, undefined)
      return { kind: 'Done' }
    }
    const { namespace, pool, ip = '' } = pod
    const answer = await client.state({ namespace, pool, ip }, { signal: stopping.signal })
    if (answer.kind !== 'Answered') {
      // Whatever it said before, it cannot be given a job now.
      if (silent.has(podUid)) board.noteState(podUid, undefined)
      silent.add(podUid)
      return { kind: 'RecheckAfter', ms: POOL_STATE_SOON_MS * 4 }
    }
    silent.delete(podUid)
    board.noteState(podUid, answer.value)
    return { kind: 'RecheckAfter', ms: pauseAfter(answer.value) }
  })
  return {
    queue,
    refresh: (podUid) => queue.add(podUid),
    stop: async () => {
      stopping.abort(new Error('the controller stops'))
      await queue.stop()
    },
  }
}

function pauseAfter({ slots }: PoolPodState): number {
  return slots.some(({ state }) => state === 'Loading') ? POOL_STATE_SOON_MS : POOL_STATE_MS
}
