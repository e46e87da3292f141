import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { PoolWatcher } from '../../../src/controller/generation-job/pool-watcher.ts'
import { freeSlot } from '../../../src/controller/generation-job/register.ts'
import type { PoolClient } from '../../../src/controller/pool-client.ts'
import type { Assigned } from '../../../src/shared/wire/pool.ts'
import { uid } from './builders.ts'
import { poolPod } from './pooled-builders.ts'

const assignment = {
  uid,
  jobId: uid,
  attempt: 1,
  model: 'demo',
  runner: 'runner-1',
  podUID: 'pod-9',
  pod: poolPod,
}
const running: Assigned = { attempt: 1, state: 'Running' }
let stop: (() => Promise<void>) | undefined

afterEach(async () => {
  await stop?.()
})

/** A pod that answers every question at once, whatever time it was given. */
function watched(last: Assigned) {
  let asked = 0
  const client: Pick<PoolClient, 'assign' | 'wait' | 'cancel'> = {
    assign: async () => await Promise.resolve({ kind: 'Answered', value: running }),
    wait: async () => {
      asked += 1
      await turn()
      return { kind: 'Answered', value: last }
    },
    cancel: async () => await Promise.resolve({ kind: 'Answered', value: undefined }),
  }
  const errors: unknown[] = []
  const watcher = new PoolWatcher(
    {
      client,
      clock: { nowMs: () => Date.now() },
      random: Math.random,
      onError: (error) => errors.push(error),
    },
    { assignment, isCancelling: false, onChange: () => undefined },
  )
  const finished = watcher.run()
  stop = async () => {
    watcher.stop()
    await finished
    expect(errors).toEqual([])
  }
  return { watcher, finished, asked: () => asked }
}

describe('an attempt in a slot', () => {
  it('is not asked after without a pause when its pod does not wait', async () => {
    const { asked } = watched(running)
    for (let turns = 0; turns < 20; turns += 1) await turn()
    expect(asked()).toBe(1)
  })

  it('is known with the reason of its end', async () => {
    const { watcher, finished } = watched({ attempt: 1, state: 'Ended', reason: 'Failed' })
    await finished
    expect(watcher.answers).toMatchObject({ state: 'Over', cause: 'Ended', reason: 'Failed' })
  })
})

describe('the pod of an attempt that is over', () => {
  it.each([
    [false, 'Ended', 'Completed'],
    [true, 'Ended', 'Failed'],
    [true, 'Ended', 'Cancelled'],
    [true, 'Ended', undefined],
    [true, 'Refused', undefined],
    [true, 'Unknown', undefined],
  ] as const)('is asked for its slots: %s, when it says %s and %s', (expected, cause, reason) => {
    const released: unknown[] = []
    const refreshed: string[] = []
    const board = { release: (attempt: unknown) => released.push(attempt) }
    const states = { refresh: (podUid: string) => refreshed.push(podUid) }
    freeSlot({ board, states }, assignment, { cause, reason })
    expect(released).toEqual([{ pod: 'pod-9', uid, attempt: 1 }])
    expect(refreshed).toEqual(expected ? ['pod-9'] : [])
  })
})
