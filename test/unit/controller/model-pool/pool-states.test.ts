import { afterEach, describe, expect, it } from 'vitest'
import { PoolBoard } from '../../../../src/controller/model-pool/pool-board.ts'
import {
  type PoolStates,
  startPoolStates,
} from '../../../../src/controller/model-pool/pool-states.ts'
import type { PoolClient } from '../../../../src/controller/pool-client.ts'
import { startWorkQueue } from '../../../../src/platform/kube/work-queue.ts'
import type { PoolPodState } from '../../../../src/shared/wire/pool.ts'
import { eventually } from '../../../support/eventually.ts'
import { aPodState, aPool, aPoolPod, aReservedJob, aSlot, cachesOver } from '../board-scene.ts'
import { createdMs } from '../builders.ts'

const pod = aPoolPod()
const { uid } = pod.metadata
const time = { nowMs: createdMs }
const clock = { nowMs: () => time.nowMs }
let states: PoolStates

afterEach(async () => {
  await states.stop()
})

/** Pods whose answers the test decides; undefined: they do not answer. */
function sceneOf(answers: (PoolPodState | undefined)[]) {
  const { caches, cluster } = cachesOver({ modelPools: [aPool()], poolPods: [pod] })
  const changes: number[] = []
  const board = new PoolBoard({
    caches,
    clock,
    allowCpu: false,
    wake: () => undefined,
    onChange: () => changes.push(clock.nowMs()),
  })
  const asked: string[] = []
  const errors: unknown[] = []
  const client: Pick<PoolClient, 'state'> = {
    state: async ({ namespace, pool, ip }) => {
      asked.push(`${namespace}/${pool} ${ip}`)
      const value = answers.shift()
      return await Promise.resolve(
        value === undefined
          ? { kind: 'Unreachable', message: 'as the test wants it' }
          : { kind: 'Answered', value },
      )
    },
  }
  const onError = (error: unknown) => errors.push(error)
  const shared = { concurrency: 1, clock, random: Math.random, onError }
  states = startPoolStates({
    board,
    client,
    startQueue: (reconcile) => startWorkQueue({ reconcile, ...shared }),
  })
  return { board, cluster, asked, errors, changes }
}

describe('pods of pools', () => {
  it('are asked for their slots at their address', async () => {
    const { board, asked } = sceneOf([aPodState()])
    states.refresh(uid)
    await eventually(() => {
      expect(board.podOf(uid)?.state).toEqual(aPodState())
    })
    expect(asked).toEqual(['vision/warm 127.9.9.9'])
  })

  it('are asked again soon while a slot loads', async () => {
    const { board } = sceneOf([aPodState([aSlot({ state: 'Loading' })]), aPodState()])
    states.refresh(uid)
    await eventually(() => {
      expect(board.podOf(uid)?.state).toEqual(aPodState())
    })
  })

  it('have said nothing when they twice do not answer, and keep their jobs', async () => {
    const job = aReservedJob('1')
    const attempt = { number: 1, pool: 'warm', podUID: uid }
    const answers = [aPodState(), undefined, undefined, aPodState()]
    const { board, asked, cluster, errors } = sceneOf(answers)
    cluster.jobs = [{ ...job, status: { ...job.status, attempt } }]
    const askedAgain = async (times: number) => {
      states.refresh(uid)
      await eventually(() => {
        expect(asked).toHaveLength(times)
      })
      return board.podOf(uid)?.state
    }
    expect(await askedAgain(1)).toEqual(aPodState())
    expect(await askedAgain(2)).toEqual(aPodState())
    expect(await askedAgain(3)).toBeUndefined()
    expect(board.podOf(uid)?.jobs).toHaveLength(1)
    expect(board.podOf(uid)?.idleSinceMs).toBeUndefined()
    expect(await askedAgain(4)).toEqual(aPodState())
    expect(errors).toEqual([])
  })

  it('go on being idle while they do not answer', async () => {
    const { board, asked } = sceneOf([undefined, undefined])
    board.noteState(uid, aPodState())
    const idleSinceMs = board.podOf(uid)?.idleSinceMs
    states.refresh(uid)
    await eventually(() => {
      expect(asked).toHaveLength(1)
    })
    time.nowMs += 1000
    states.refresh(uid)
    await eventually(() => {
      expect(board.podOf(uid)?.state).toBeUndefined()
    })
    expect(board.podOf(uid)?.idleSinceMs).toBe(idleSinceMs)
  })

  it.each([
    ['are gone', []],
    ['are not ready', [{ ...pod, status: { ...pod.status, conditions: [] } }]],
  ])('are not asked, and have said nothing, once they %s', async (_what, poolPods) => {
    const { board, cluster, asked, changes } = sceneOf([])
    board.noteState(uid, aPodState())
    cluster.poolPods = poolPods
    states.refresh(uid)
    await eventually(() => {
      expect(changes).toHaveLength(2)
    })
    cluster.poolPods = [pod]
    expect(board.podOf(uid)?.state).toBeUndefined()
    expect(asked).toEqual([])
  })
})
