import type { ContainerRecord, PodRecord } from './pod-record.ts'
import { containerOf } from './pod-record.ts'
import { type Container, type Pod, type PodStatus, allContainers, initContainersOf } from './pod.ts'

export const hostIp = '127.0.0.1'

type PodCondition = NonNullable<PodStatus['conditions']>[number]
type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number]
type ContainerState = NonNullable<ContainerStatus['state']>

export type StatusSurroundings = {
  readonly pod: Pod
  /** Conditions of the last computed status: their transition times are kept. */
  readonly previous: readonly PodCondition[]
  readonly now: string
}

/** The status that a kubelet would report for a pod with this record. */
export function podStatus(record: PodRecord, surroundings: StatusSurroundings): PodStatus {
  const { pod } = surroundings
  const phase = podPhase(record, pod)
  const init = initContainersOf(pod)
  const initStatuses = init.map((container) =>
    containerStatus(container, record, { waitReason: 'PodInitializing' }),
  )
  const isInitialized = init.every((container) => hasSucceeded(containerOf(record, container.name)))
  const waitReason = isInitialized ? 'ContainerCreating' : 'PodInitializing'
  return {
    phase,
    ...(record.isOver ? record.failure : {}),
    ...(pod.metadata.generation === undefined
      ? {}
      : { observedGeneration: pod.metadata.generation }),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    podIP: record.address,
    podIPs: [{ ip: record.address }],
    startTime: record.startTime,
    conditions: podConditions(record, { ...surroundings, phase, isInitialized }),
    ...(init.length === 0 ? {} : { initContainerStatuses: initStatuses }),
    containerStatuses: pod.spec.containers.map((container) =>
      containerStatus(container, record, { waitReason }),
    ),
  }
}

function podPhase(record: PodRecord, pod: Pod): string {
  if (record.isOver) {
    const succeeded = allContainers(pod).every((container) =>
      hasSucceeded(containerOf(record, container.name)),
    )
    return succeeded && record.failure === undefined ? 'Succeeded' : 'Failed'
  }
  const hasStarted = pod.spec.containers.some((container) => {
    const { run, end } = containerOf(record, container.name)
    return run !== undefined || end !== undefined
  })
  return hasStarted ? 'Running' : 'Pending'
}

function hasSucceeded(container: ContainerRecord): boolean {
  return container.run === undefined && container.end?.exitCode === 0
}

function containerStatus(
  { name, image = '' }: Container,
  record: PodRecord,
  { waitReason }: { readonly waitReason: string },
): ContainerStatus {
  const container = containerOf(record, name)
  const { run, end } = container
  const state = containerState(container, waitReason)
  return {
    name,
    image,
    imageID: '',
    ...(run === undefined ? {} : { containerID: `process://${run.pid}` }),
    restartCount: container.restarts,
    started: run !== undefined && container.started,
    ready: isReady(container),
    state,
    lastState: end === undefined || state.terminated !== undefined ? {} : { terminated: end },
  }
}

function containerState(
  { run, end, waiting }: ContainerRecord,
  waitReason: string,
): ContainerState {
  if (run !== undefined) return { running: { startedAt: run.startedAt } }
  if (waiting !== undefined || end === undefined) {
    return { waiting: waiting ?? { reason: waitReason } }
  }
  return { terminated: end }
}

type ConditionContext = StatusSurroundings & {
  readonly phase: string
  readonly isInitialized: boolean
}

/** PodScheduled belongs to the scheduler; the write merges conditions by type and keeps it. */
function podConditions(record: PodRecord, context: ConditionContext): readonly PodCondition[] {
  const { phase, isInitialized, pod, previous, now } = context
  const unready = pod.spec.containers
    .map((container) => container.name)
    .filter((name) => !isReady(containerOf(record, name)))
  const ready = readyCondition(phase, unready)
  const wanted: readonly Omit<PodCondition, 'lastTransitionTime'>[] = [
    isInitialized
      ? { type: 'Initialized', status: 'True' }
      : { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized' },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ]
  return wanted.map((condition) => {
    const before = previous.find((candidate) => candidate.type === condition.type)
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined
    return { ...condition, lastTransitionTime: since ?? now }
  })
}

function isReady(container: ContainerRecord): boolean {
  return container.run !== undefined && container.ready
}

function readyCondition(phase: string, unready: readonly string[]) {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  if (unready.length === 0) return { status: 'True' }
  const message = `containers with unready status: [${unready.join(' ')}]`
  return { status: 'False', reason: 'ContainersNotReady', message }
}
