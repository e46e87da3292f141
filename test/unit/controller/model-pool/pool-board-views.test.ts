import { describe, expect, it } from 'vitest'
import type { ModelPoolSpec } from '../../../../src/shared/crd/model-pool.ts'
import { aPool, aPoolPod } from '../board-scene.ts'
import { aCondition, aModel, at } from '../builders.ts'
import { aKubeNode } from '../kube-builders.ts'

import { key, pod, sceneOf, uid } from './pool-board-scene.ts'

const reason = (is: string) => ({ conditions: [aCondition('Ready', is)] })

describe('a pool as admission sees it', () => {
  const notReady = { ...pod, status: { phase: 'Pending' } }
  it('has its models, its part of the GPUs, and what starting pods will load', () => {
    const pool = aPool({ slots: 2, models: [{ name: 'demo' }, { name: 'missing' }] })
    const { board } = sceneOf({ modelPools: [pool], poolPods: [notReady] })
    expect(board.views()).toEqual([
      {
        name: key,
        namespace: 'vision',
        models: ['demo', 'missing'],
        gpusPerSlot: 0.5,
        slots: [],
        loading: ['demo', 'demo'],
        slotsToCome: 2,
        growable: true,
        growing: true,
        surplus: 1,
        podRequest: { gpus: 1, cpuMillis: 4000, memoryBytes: 2 ** 33 },
        serving: true,
      },
    ])
  })

  it.each<[string, Partial<ModelPoolSpec['gpu']>]>([
    ['slices', { sharing: 'Mig', products: ['1g.5gb'] }],
    ['claims', { api: 'DRA' }],
  ])('asks for nothing that Nodes are seen to have, with %s', (_what, gpu) => {
    const pool = aPool({ gpu: { ...aPool().spec.gpu, ...gpu } })
    const [view] = sceneOf({ modelPools: [pool] }).board.views()
    expect(view).toMatchObject({ gpusPerSlot: 1, podRequest: undefined })
  })

  it('counts no GPUs where it runs on processors', () => {
    expect(sceneOf({ nodes: [aKubeNode({ gpus: 0 })] }).board.views()[0]?.gpusPerSlot).toBe(0)
  })

  it('counts the GPUs that a Node has, while none of them is offered', () => {
    const node = aKubeNode({ gpus: 0 })
    const restarting = { ...node, status: { ...node.status, capacity: { 'nvidia.com/gpu': '2' } } }
    expect(sceneOf({ nodes: [restarting] }).board.views()[0]?.gpusPerSlot).toBe(1)
  })

  it('is none any more when it is being deleted', () => {
    const pool = aPool()
    const deleted = { ...pool, metadata: { ...pool.metadata, deletionTimestamp: at(1) } }
    expect(sceneOf({ modelPools: [deleted] }).board.views()).toEqual([])
  })

  it.each([
    ['below maxReplicas', aPool({ maxReplicas: 2 }), true],
    ['at maxReplicas', aPool({ maxReplicas: 1 }), false],
    ['at the number that somebody gave', aPool({ maxReplicas: 5, replicas: 1 }), false],
    ['below that number', aPool({ maxReplicas: 5, replicas: 2 }), true],
    [
      'that waits for a Model',
      { ...aPool({ maxReplicas: 2 }), status: reason('False/ModelNotFound') },
      false,
    ],
    [
      'without such GPUs',
      { ...aPool({ maxReplicas: 2 }), status: reason('False/NoMatchingGpu') },
      false,
    ],
    [
      'on which nobody can work',
      { ...aPool({ maxReplicas: 2 }), status: reason('False/Invalid') },
      false,
    ],
  ])('may get more pods: one %s', (_what, pool, expected) => {
    expect(sceneOf({ modelPools: [pool] }).board.views()[0]?.growable).toBe(expected)
  })

  it('gets no more pods while one has no room', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }]
    const spec = { containers: [{ name: 'inference' }] }
    const unplaced = { ...notReady, spec, status: { phase: 'Pending', conditions } }
    const { board } = sceneOf({ modelPools: [aPool({ maxReplicas: 5 })], poolPods: [unplaced] })
    expect(board.views()[0]).toMatchObject({ growable: false, growing: false, loading: [] })
    expect(board.occupants()).toEqual([])
  })

  it.each([
    ['on its way', notReady, true],
    ['ready', pod, false],
    [
      'on its way out',
      { ...notReady, metadata: { ...pod.metadata, deletionTimestamp: at(1) } },
      false,
    ],
  ])('grows while a pod is %s: %#', (_what, only, expected) => {
    const { board } = sceneOf({ modelPools: [aPool({ maxReplicas: 5 })], poolPods: [only] })
    expect(board.views()[0]).toMatchObject({ growable: true, growing: expected })
  })

  it('occupies Nodes by its pods, but for those that have ended', () => {
    const ended = { ...pod, status: { ...pod.status, phase: 'Succeeded' } }
    expect(sceneOf().board.occupants()).toMatchObject([
      { uid, nodeName: 'node-1', pool: key, going: false },
    ])
    expect(sceneOf({ poolPods: [ended] }).board.occupants()).toEqual([])
  })

  it('says what its pods lack', () => {
    const lora = { ...aModel({ type: 'Lora' }), metadata: { ...aModel().metadata, name: 'lora' } }
    const pool = aPool({ models: [{ name: 'demo' }, { name: 'lora' }] })
    const { board } = sceneOf({ modelPools: [pool], models: [aModel(), lora] })
    expect(board.occupants()).toMatchObject([{ uid, lacks: ['lora'] }])
  })

  it('says which of its pods are on their way out', () => {
    const { board } = sceneOf()
    board.setLeaving(key, [uid])
    expect(board.occupants()).toMatchObject([{ uid, going: true }])
    const deleted = { ...pod, metadata: { ...pod.metadata, deletionTimestamp: at(1) } }
    expect(sceneOf({ poolPods: [deleted] }).board.occupants()).toMatchObject([{ going: true }])
  })

  it.each([
    ['above minReplicas', { minReplicas: 1 }, 1],
    ['none where that is all there are', { minReplicas: 2 }, 0],
    ['none of a number that somebody set', { replicas: 2 }, 0],
  ])('may give up pods %s: %#', (_what, spec, surplus) => {
    const other = aPoolPod('pool-warm-5d-other')
    const { board } = sceneOf({ modelPools: [aPool(spec)], poolPods: [pod, other] })
    expect(board.views()[0]?.surplus).toBe(surplus)
    board.setLeaving(key, [uid])
    expect(board.views()[0]?.surplus).toBe(Math.max(0, surplus - 1))
  })

  it('may give up no pod for one that has no room', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }]
    const other = aPoolPod('pool-warm-5d-other')
    const { nodeName: _none, ...spec } = other.spec ?? { containers: [] }
    const unplaced = { ...other, spec, status: { phase: 'Pending', conditions } }
    const pools = [aPool({ minReplicas: 1, maxReplicas: 2 })]
    const { board } = sceneOf({ modelPools: pools, poolPods: [pod, unplaced] })
    expect(board.views()[0]?.surplus).toBe(0)
  })
})
