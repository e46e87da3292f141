import { gpuResource } from '../../names.ts'
import { parseQuantity } from './quantity.ts'

/** What one pod asks for and one Node has. Whole numbers, so that sums stay exact. */
export type Resources = {
  readonly gpus: number
  readonly cpuMillis: number
  readonly memoryBytes: number
}

export const noResources: Resources = { gpus: 0, cpuMillis: 0, memoryBytes: 0 }

/** Reads a Kubernetes resource list, such as a Node's allocatable or a container's limits. */
export function resourcesOf(list: Readonly<Record<string, string>> = {}): Resources {
  return {
    gpus: Math.floor(parseQuantity(list[gpuResource])),
    cpuMillis: Math.round(parseQuantity(list['cpu']) * 1000),
    memoryBytes: Math.round(parseQuantity(list['memory'])),
  }
}

export function addResources(left: Resources, right: Resources): Resources {
  return {
    gpus: left.gpus + right.gpus,
    cpuMillis: left.cpuMillis + right.cpuMillis,
    memoryBytes: left.memoryBytes + right.memoryBytes,
  }
}

export function subtractResources(left: Resources, right: Resources): Resources {
  return {
    gpus: left.gpus - right.gpus,
    cpuMillis: left.cpuMillis - right.cpuMillis,
    memoryBytes: left.memoryBytes - right.memoryBytes,
  }
}

/** How many of these fit together. */
export function timesInto(request: Resources, free: Resources): number {
  const parts = [
    [request.gpus, free.gpus],
    [request.cpuMillis, free.cpuMillis],
    [request.memoryBytes, free.memoryBytes],
  ] as const
  const times = parts.map(([part, whole]) => (part === 0 ? Infinity : Math.floor(whole / part)))
  return Math.max(0, Math.min(...times))
}

/** What is asked for and nothing else must be free: a Node that is short of GPUs runs CPU work. */
export function fitsInto(request: Resources, free: Resources): boolean {
  return (
    (request.gpus === 0 || request.gpus <= free.gpus) &&
    request.cpuMillis <= free.cpuMillis &&
    request.memoryBytes <= free.memoryBytes
  )
}
