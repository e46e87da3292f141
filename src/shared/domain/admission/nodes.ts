import { fitsInto, type Resources, subtractResources } from './resources.ts'

export type AdmissionNode = {
  readonly name: string
  /** Ready, schedulable, and without a taint that job pods do not tolerate. */
  readonly usable: boolean
  readonly allocatable: Resources
}

/** What is free on each usable Node, by name. */
export type FreeNodes = ReadonlyMap<string, Resources>

export function freeOf(nodes: readonly AdmissionNode[]): FreeNodes {
  return new Map(nodes.filter((node) => node.usable).map((node) => [node.name, node.allocatable]))
}

/** A Node that is down now may come back, so all known Nodes count. */
export function fitsSomeNode(request: Resources, nodes: readonly AdmissionNode[]): boolean {
  return nodes.some((node) => fitsInto(request, node.allocatable))
}

/** The Node that keeps the largest gap whole: least GPUs left, then least memory, then by name. */
export function bestNode(request: Resources, free: FreeNodes): string | undefined {
  const fitting = [...free].filter(([, resources]) => fitsInto(request, resources))
  fitting.sort(([leftName, left], [rightName, right]) => {
    const byGpus = left.gpus - right.gpus
    const byMemory = left.memoryBytes - right.memoryBytes
    return byGpus || byMemory || (leftName < rightName ? -1 : 1)
  })
  return fitting[0]?.[0]
}

/** The same Nodes with the request taken from one of them; an unknown Node changes nothing. */
export function occupy(free: FreeNodes, name: string, request: Resources): FreeNodes {
  const before = free.get(name)
  if (before === undefined) return free
  return new Map(free).set(name, subtractResources(before, request))
}
