import type { Node } from '../../platform/kube/resources.ts'
import { unreachable } from '../../shared/assert.ts'
import type { ModelPoolSpec } from '../../shared/crd/model-pool.ts'
import { parseQuantity } from '../../shared/domain/admission/quantity.ts'
import { gpuResource } from '../../shared/names.ts'

/** What a Node must have, as a requirement of a node affinity. */
export type NodeRequirement = {
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Gt'
  readonly values: readonly string[]
}

/** Devices by dynamic resource allocation, as one request of a claim. */
export type DeviceRequest = {
  readonly deviceClassName: string
  readonly count: number
  /** CEL, all of which must hold for each device. */
  readonly selectors: readonly string[]
}

/** How a pod asks for its GPUs: a resource on Nodes of a kind, or a claim. */
export type GpuShape =
  | { readonly kind: 'None' }
  | {
      readonly kind: 'Resource'
      readonly resource: string
      readonly count: number
      readonly requirements: readonly NodeRequirement[]
    }
  | { readonly kind: 'Claim'; readonly request: DeviceRequest }

type Gpu = ModelPoolSpec['gpu']

/**
 * Labels are those of NVIDIA's GPU feature discovery and resources those of its device plugin;
 * claims are for kubernetes-sigs/dra-driver-nvidia-gpu. `Auto` asks by the device plugin, also on
 * clusters of that driver: its DeviceClass has `extendedResourceName: nvidia.com/gpu`, so the same
 * pod is served by both, and nobody needs the right to read the devices of the cluster.
 */
export function gpuShape(gpu: Gpu, count: number): GpuShape {
  if (count === 0) return { kind: 'None' }
  if (gpu.api === 'DRA') return { kind: 'Claim', request: deviceRequest(gpu, count) }
  return gpu.sharing === 'Mig' ? migShape(gpu, count) : wholeShape(gpu, count)
}

const productLabel = `${gpuResource}.product`
const sharingLabel = `${gpuResource}.sharing-strategy`
const sharingStrategies = ['mps', 'time-slicing']

/** A Node that shares its GPUs adds `-SHARED` to their product and names its strategy. */
function wholeShape({ sharing, products, minMemoryMiB }: Gpu, count: number): GpuShape {
  const isShared = sharing === 'Shared'
  const names = products?.map((name) => (isShared ? `${name}-SHARED` : name))
  const requirements: readonly NodeRequirement[] = [
    { key: sharingLabel, operator: isShared ? 'In' : 'NotIn', values: sharingStrategies },
    ...productIn(productLabel, names),
    ...memoryOf(gpuResource, minMemoryMiB),
  ]
  return { kind: 'Resource', resource: gpuResource, count, requirements }
}

/** Under the strategy `mixed`, each profile is a resource with labels of its own. */
function migShape({ products = [], minMemoryMiB }: Gpu, count: number): GpuShape {
  const resource = `nvidia.com/mig-${migProfileOf(products)}`
  const named = products.filter((product) => product.includes(migMark))
  const requirements = [
    ...productIn(`${resource}.product`, named),
    ...memoryOf(resource, minMemoryMiB),
  ]
  return { kind: 'Resource', resource, count, requirements }
}

const migMark = '-MIG-'

/** The schema sees to it that there is one, and the same in all. */
function migProfileOf([first = '']: readonly string[]): string {
  return first.slice(first.lastIndexOf('-') + 1)
}

function productIn(key: string, values: readonly string[] = []): NodeRequirement[] {
  return values.length === 0 ? [] : [{ key, operator: 'In', values }]
}

/** Labels are whole MiB and `Gt` is strict. */
function memoryOf(resource: string, minMiB: number | undefined): NodeRequirement[] {
  if (minMiB === undefined) return []
  return [{ key: `${resource}.memory`, operator: 'Gt', values: [String(minMiB - 1)] }]
}

const driver = 'gpu.nvidia.com'
const attributes = `device.attributes['${driver}']`

function deviceRequest(
  { sharing, products = [], minMemoryMiB }: Gpu,
  count: number,
): DeviceRequest {
  const isMig = sharing === 'Mig'
  const names = isMig ? products.flatMap(productOfMig) : products
  return {
    deviceClassName: isMig ? 'mig.nvidia.com' : driver,
    count,
    selectors: [
      // The driver writes `1g.10gb+me` where labels, which know no plus sign, have `1g.10gb.me`.
      ...(isMig
        ? [`${attributes}.profile == '${migProfileOf(products).replace('.me', '+me')}'`]
        : []),
      // Labels have hyphens where the driver has the spaces of the product's name.
      ...(names.length === 0
        ? []
        : [`${attributes}.productName.replace(' ', '-') in ['${names.join("', '")}']`]),
      ...(minMemoryMiB === undefined
        ? []
        : [`device.capacity['${driver}'].memory.compareTo(quantity('${minMemoryMiB}Mi')) >= 0`]),
    ],
  }
}

function productOfMig(name: string): string[] {
  return name.includes(migMark) ? [name.slice(0, name.lastIndexOf(migMark))] : []
}

/** Whether the Node has such GPUs, in use or not. Devices of claims are on no Node to be seen. */
export function hasGpus({ metadata, status }: Node, shape: GpuShape): boolean {
  if (shape.kind !== 'Resource') return true
  const { resource, count, requirements } = shape
  if (parseQuantity(status?.allocatable?.[resource]) < count) return false
  return requirements.every((requirement) => meets(metadata.labels ?? {}, requirement))
}

function meets(
  labels: Readonly<Record<string, string>>,
  { key, operator, values }: NodeRequirement,
): boolean {
  const value = labels[key]
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0])
    default:
      return unreachable(operator)
  }
}
