import {
  PoolBoard,
  type PoolBoardOptions,
} from '../../../../src/controller/model-pool/pool-board.ts'
import { aPodState, aPool, aPoolPod, aReservedJob, aSlot, cachesOver } from '../board-scene.ts'
import { createdMs } from '../builders.ts'
import { aKubeNode } from '../kube-builders.ts'

export const key = 'vision/warm'
export const pod = aPoolPod()
export const { uid } = pod.metadata
export const [first, second] = [aReservedJob('1'), aReservedJob('2')]

export function sceneOf(over: Parameters<typeof cachesOver>[0] = {}) {
  const { caches, cluster } = cachesOver({
    jobs: [first, second],
    modelPools: [aPool({ idleSeconds: 60 })],
    poolPods: [pod],
    nodes: [aKubeNode({ gpus: 2 })],
    ...over,
  })
  const woken: [string, number][] = []
  const time = { nowMs: createdMs }
  let changes = 0
  const options: PoolBoardOptions = {
    caches,
    allowCpu: true,
    clock: { nowMs: () => time.nowMs },
    wake: (pool, afterMs) => woken.push([pool, afterMs]),
    onChange: () => {
      changes += 1
    },
  }
  const board = new PoolBoard(options)
  return { board, cluster, woken, time, changes: () => changes }
}

/** A pod that has said what its slots do. */
export function askedScene(slots = [aSlot()], over: Parameters<typeof cachesOver>[0] = {}) {
  const scene = sceneOf(over)
  scene.board.noteState(uid, aPodState(slots))
  return scene
}
