import type { AdmissionInput, RunningJob } from './input.ts'
import { NodeRoom, type Tenant } from './node-room.ts'

type Pod = Tenant & {
  readonly nodeName?: string | undefined
  readonly plannedName?: string | undefined
}

/**
 * Bound pods first, then those the scheduler has yet to bind, as it probably will. One of a job
 * that fits nowhere keeps the Node for itself where it will fit soonest: starting more there would
 * only make two pods wait. Pools leave it its room, and then give way to it, for a while only: the
 * scheduler may have reasons that are not known here, and then nothing of this helps it.
 */
export function openNodeRoom(input: AdmissionInput): NodeRoom {
  const { nodes, nowMs, occupants, pools, running, settings } = input
  const room = new NodeRoom(nodes, new Map(pools.map(({ name, surplus }) => [name, surplus])))
  const busySince = newestJobs(running)
  const pods: Pod[] = occupants.map((occupant) => {
    const busySinceMs = busySince.get(occupant.uid)
    const startMs = occupant.going === true ? (busySinceMs ?? 0) : undefined
    return { ...occupant, busySinceMs, startMs }
  })
  for (const { uid, startMs, place } of running) {
    if (place.kind === 'Node') pods.push({ uid, startMs, ...place })
  }
  for (const pod of pods.toSorted(comparePods)) {
    const waitedMs = nowMs - (pod.startMs ?? nowMs)
    seat(room, pod, Math.floor(waitedMs / settings.patienceMs))
  }
  return room
}

/** `patiences`: how long it has waited if it is not bound. */
function seat(room: NodeRoom, pod: Pod, patiences: number): void {
  const { nodeName, plannedName, pool, request } = pod
  const name = nodeName ?? room.find(request, plannedName)
  const isExpected = nodeName === undefined && pool === undefined
  if (name === undefined) {
    if (isExpected) room.keepFor(request, { mayClear: patiences === 1 })
  } else if (isExpected && patiences === 0) {
    room.promise(name, pod)
  } else {
    room.take(name, pod)
  }
}

/** The start of the newest job in each pod of a pool. */
function newestJobs(running: readonly RunningJob[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>()
  for (const { startMs, place } of running) {
    if (place.kind !== 'Slot') continue
    newest.set(place.pod, Math.max(startMs, newest.get(place.pod) ?? -Infinity))
  }
  return newest
}

function comparePods(left: Pod, right: Pod): number {
  const leftBound = left.nodeName === undefined ? 1 : 0
  const rightBound = right.nodeName === undefined ? 1 : 0
  if (leftBound !== rightBound) return leftBound - rightBound
  if (left.request.gpus !== right.request.gpus) return right.request.gpus - left.request.gpus
  return left.uid < right.uid ? -1 : 1
}
