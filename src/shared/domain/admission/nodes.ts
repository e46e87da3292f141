import { fitsInto, type Resources } from './resources.ts'

export type AdmissionNode = {
  readonly name: string
  /** Ready, schedulable, and without a taint that job pods do not tolerate. */
  readonly usable: boolean
  readonly allocatable: Resources
}

/** What is free on each usable Node, by name. */
type FreeNodes = ReadonlyMap<string, Resources>

/** A Node that is down now may come back, so all known Nodes count. */
export function fitsSomeNode(request: Resources, nodes: readonly AdmissionNode[]): boolean {
  return nodes.some((node) => fitsInto(request, node.allocatable))
}

/** The Node that keeps the largest gap whole: least GPUs left, then least memory, then by name. */
export function bestNode(request: Resources, free: FreeNodes): string | undefined {
  let best: Gap | undefined
  for (const entry of free) {
    if (!fitsInto(request, entry[1])) continue
    if (best === undefined || compareGaps(entry, best) < 0) best = entry
  }
  return best?.[0]
}

type Gap = readonly [name: string, free: Resources]

function compareGaps([leftName, left]: Gap, [rightName, right]: Gap): number {
  const byGpus = left.gpus - right.gpus
  const byMemory = left.memoryBytes - right.memoryBytes
  return byGpus || byMemory || (leftName < rightName ? -1 : 1)
}
