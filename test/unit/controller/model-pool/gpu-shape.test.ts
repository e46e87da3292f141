import { describe, expect, it } from 'vitest'
import { gpuShape, hasGpus } from '../../../../src/controller/model-pool/gpu-shape.ts'
import type { Node } from '../../../../src/platform/kube/resources.ts'
import type { ModelPoolSpec } from '../../../../src/shared/crd/model-pool.ts'
import { at } from '../builders.ts'

type Gpu = ModelPoolSpec['gpu']
const gpu: Gpu = { count: 1, sharing: 'Exclusive', api: 'Auto' }

function shapeOf(over: Partial<Gpu> = {}, count = 1) {
  return gpuShape({ ...gpu, ...over }, count)
}

const strategies = ['mps', 'time-slicing']
const whole = { key: 'nvidia.com/gpu.sharing-strategy', operator: 'NotIn', values: strategies }
const shared = { ...whole, operator: 'In' }

describe('what a pod asks for', () => {
  it('is nothing without GPUs, whatever their kind would be', () => {
    expect(shapeOf({ api: 'DRA', products: ['H100'] }, 0)).toEqual({ kind: 'None' })
  })

  it.each(['Auto', 'DevicePlugin'] as const)('is whole GPUs of a Node by %s', (api) => {
    expect(shapeOf({ api, products: ['H100'], minMemoryMiB: 40_000 }, 2)).toEqual({
      kind: 'Resource',
      resource: 'nvidia.com/gpu',
      count: 2,
      requirements: [
        whole,
        { key: 'nvidia.com/gpu.product', operator: 'In', values: ['H100'] },
        { key: 'nvidia.com/gpu.memory', operator: 'Gt', values: ['39999'] },
      ],
    })
  })

  it('is a replica of a shared GPU, whose product has another name', () => {
    expect(shapeOf({ sharing: 'Shared', products: ['T4', 'L4'] })).toMatchObject({
      resource: 'nvidia.com/gpu',
      requirements: [
        shared,
        { key: 'nvidia.com/gpu.product', operator: 'In', values: ['T4-SHARED', 'L4-SHARED'] },
      ],
    })
  })

  it('is a slice of a profile, on any product or on some', () => {
    expect(shapeOf({ sharing: 'Mig', products: ['1g.5gb'] })).toMatchObject({
      resource: 'nvidia.com/mig-1g.5gb',
      requirements: [],
    })
    const products = ['A100-SXM4-40GB-MIG-1g.5gb', '1g.5gb']
    expect(shapeOf({ sharing: 'Mig', products, minMemoryMiB: 4000 })).toMatchObject({
      resource: 'nvidia.com/mig-1g.5gb',
      requirements: [
        { key: 'nvidia.com/mig-1g.5gb.product', operator: 'In', values: [products[0]] },
        { key: 'nvidia.com/mig-1g.5gb.memory', operator: 'Gt', values: ['3999'] },
      ],
    })
  })

  it('is a claim of devices by DRA', () => {
    const products = ['NVIDIA-A100-SXM4-40GB', 'NVIDIA-L4']
    expect(shapeOf({ api: 'DRA', products, minMemoryMiB: 40_000 }, 2)).toEqual({
      kind: 'Claim',
      request: {
        deviceClassName: 'gpu.nvidia.com',
        count: 2,
        selectors: [
          "device.attributes['gpu.nvidia.com'].productName.replace(' ', '-') in " +
            "['NVIDIA-A100-SXM4-40GB', 'NVIDIA-L4']",
          "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('40000Mi')) >= 0",
        ],
      },
    })
  })

  it('is a claim of slices by DRA, which writes profiles in another way', () => {
    expect(shapeOf({ api: 'DRA', sharing: 'Mig', products: ['1g.10gb.me'] })).toEqual({
      kind: 'Claim',
      request: {
        deviceClassName: 'mig.nvidia.com',
        count: 1,
        selectors: ["device.attributes['gpu.nvidia.com'].profile == '1g.10gb+me'"],
      },
    })
  })
})

function aNode(labels: Readonly<Record<string, string>>, allocatable = '2'): Node {
  const metadata = { name: 'n', uid: 'n', resourceVersion: '1', creationTimestamp: at(0), labels }
  return { metadata, status: { allocatable: { 'nvidia.com/gpu': allocatable } } }
}

describe('a Node', () => {
  const wanted = shapeOf({ products: ['H100'], minMemoryMiB: 40_000 }, 2)
  const fitting = { 'nvidia.com/gpu.product': 'H100', 'nvidia.com/gpu.memory': '40000' }

  it.each([
    ['has the wanted GPUs', aNode(fitting), true],
    ['has too few', aNode(fitting, '1'), false],
    ['has less memory', aNode({ ...fitting, 'nvidia.com/gpu.memory': '39999' }), false],
    ['says nothing of its memory', aNode({ 'nvidia.com/gpu.product': 'H100' }), false],
    ['has another product', aNode({ ...fitting, 'nvidia.com/gpu.product': 'T4' }), false],
    ['shares them', aNode({ ...fitting, 'nvidia.com/gpu.sharing-strategy': 'mps' }), false],
    ['shares none', aNode({ ...fitting, 'nvidia.com/gpu.sharing-strategy': 'none' }), true],
  ])('%s', (_what, node, expected) => {
    expect(hasGpus(node, wanted)).toBe(expected)
  })

  it('is never asked for the devices of claims', () => {
    expect(hasGpus(aNode({}, '0'), shapeOf({ api: 'DRA' }))).toBe(true)
  })
})
