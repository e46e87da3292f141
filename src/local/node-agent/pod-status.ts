import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { assert } from '../../shared/assert.ts'
import type { ProcessIdentity } from '../bootstrap/steps.mjs'
import type { Container, Pod, PodStatus } from './pod.ts'

export const hostIp = '127.0.0.1'

export type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number]
type ContainerState = NonNullable<ContainerStatus['state']>
export type ContainerEnd = NonNullable<ContainerState['terminated']>

/** Why the agent ended a pod: it has failed whatever its exit codes say. */
export type PodFailure = { readonly reason: string; readonly message: string }

/** The status of a pod whose containers have not been started. */
export function newStatus(
  pod: Pod,
  { address, now }: { readonly address: string; readonly now: string },
): PodStatus {
  const { initContainers = [], containers } = pod.spec
  const status: PodStatus = {
    observedGeneration: pod.metadata.generation,
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    podIP: address,
    podIPs: [{ ip: address }],
    startTime: now,
    conditions: pod.status?.conditions,
    ...(initContainers.length > 0 && { initContainerStatuses: initContainers.map(newContainer) }),
    containerStatuses: containers.map(newContainer),
  }
  return summarize(status, now)
}

function newContainer({ name, image = '' }: Container): ContainerStatus {
  const state = { waiting: { reason: 'ContainerCreating' } }
  return { ...neverRun, name, image, state, lastState: {} }
}

const neverRun = { imageID: '', restartCount: 0, started: false, ready: false }

/** Those that run before the others come first. */
export function allStatuses(status: PodStatus | undefined): readonly ContainerStatus[] {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
}

export function containerOf(status: PodStatus, name: string): ContainerStatus {
  const found = allStatuses(status).find((each) => each.name === name)
  assert(found !== undefined, 'every container of a pod has a status')
  return found
}

/** The process of a running container, as `containerId` has named it. */
export function runningProcess({ state, containerID }: ContainerStatus) {
  const [, pid, started] = /^process:\/\/(\d+)\/(.*)$/.exec(containerID ?? '') ?? []
  if (state?.running === undefined || started === undefined) return undefined
  return { pid: Number(pid), started }
}

export function containerId({ pid, started }: ProcessIdentity): string {
  return `process://${pid}/${started}`
}

/** Replaces fields of one container's status; everything that follows from them is brought up. */
export function withContainer(
  status: PodStatus,
  { now, ...change }: Partial<ContainerStatus> & { readonly name: string; readonly now: string },
): PodStatus {
  const changed = (each: ContainerStatus) =>
    each.name === change.name ? { ...each, ...change } : each
  return summarize(withEach(status, changed), now)
}

/** Nothing will be started any more: what does not run has ended, or never will have begun. */
export function withoutStarts(
  status: PodStatus,
  { now, failure }: { readonly now: string; readonly failure?: PodFailure | undefined },
): PodStatus {
  const never = { exitCode: 137, reason: 'ContainerNotRun', startedAt: now, finishedAt: now }
  const ended = (each: ContainerStatus) => {
    const { state, lastState } = each
    if (state?.running !== undefined || state?.terminated !== undefined) return each
    return { ...each, state: { terminated: lastState?.terminated ?? never } }
  }
  return summarize({ ...withEach(status, ended), ...failure }, now)
}

function withEach(
  status: PodStatus,
  change: (each: ContainerStatus) => ContainerStatus,
): PodStatus {
  const { initContainerStatuses: before, containerStatuses } = status
  return {
    ...status,
    ...(before !== undefined && { initContainerStatuses: before.map(change) }),
    containerStatuses: containerStatuses?.map(change),
  }
}

export function hasEnded({ phase }: PodStatus = {}): boolean {
  return phase === 'Succeeded' || phase === 'Failed'
}

/** Derives phase and conditions. PodScheduled is the scheduler's: the write merges by type. */
function summarize(status: PodStatus, now: string): PodStatus {
  const phase = phaseOf(status)
  const isReady = phase === 'Running' && status.containerStatuses?.every(({ ready }) => ready)
  const unreadyReason = phase === 'Succeeded' ? 'PodCompleted' : 'ContainersNotReady'
  const ready = isReady ? { status: 'True' } : { status: 'False', reason: unreadyReason }
  const conditions = [
    { type: 'Initialized', ...initialized(status) },
    { type: 'ContainersReady', ...ready },
    { type: 'Ready', ...ready },
  ].map((condition) => {
    const before = status.conditions?.find(({ type }) => type === condition.type)
    const since = before?.status === condition.status ? before.lastTransitionTime : now
    return { ...condition, lastTransitionTime: since }
  })
  return { ...status, phase, conditions }
}

/** Every container that is to run first has ended well. */
export function isInitialized({ initContainerStatuses = [] }: PodStatus): boolean {
  return initContainerStatuses.every(({ state }) => state?.terminated?.exitCode === 0)
}

function initialized(status: PodStatus) {
  return isInitialized(status)
    ? { status: 'True' }
    : { status: 'False', reason: 'ContainersNotInitialized' }
}

/** Whether any process of the pod was ever started. */
export function hasBegun(status: PodStatus): boolean {
  return allStatuses(status).some(
    ({ state, lastState }) => state?.running ?? state?.terminated ?? lastState?.terminated,
  )
}

function phaseOf(status: PodStatus): string {
  const { initContainerStatuses = [], containerStatuses = [], reason } = status
  const first = initContainerStatuses.map(({ state }) => state)
  if (first.some((state) => state?.running !== undefined)) return 'Pending'
  if (first.some((state) => (state?.terminated?.exitCode ?? 0) !== 0)) return 'Failed'
  const states = containerStatuses.map(({ state }) => state)
  if (states.every((state) => state?.terminated !== undefined)) {
    const isGood = states.every((state) => state?.terminated?.exitCode === 0)
    return isGood && reason === undefined ? 'Succeeded' : 'Failed'
  }
  return hasBegun({ containerStatuses }) ? 'Running' : 'Pending'
}

/** Written by this program only, so its shape is not looked at again. */
const savedStatus = z.custom<PodStatus>((value) => typeof value === 'object' && value !== null)

/**
 * Keeps the status for the next agent. Synchronous on purpose: between a process's start and this
 * nothing else may happen. Not flushed to the disk: after a power loss the processes are gone too.
 */
export function saveStatus(folder: string, status: PodStatus): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, 'status.json')
  writeFileSync(`${file}.new`, JSON.stringify(status))
  renameSync(`${file}.new`, file)
}

/** Undefined when the agent died before it wrote one. */
export function loadStatus(folder: string): PodStatus | undefined {
  try {
    return savedStatus.parse(JSON.parse(readFileSync(join(folder, 'status.json'), 'utf8')))
  } catch {
    return undefined
  }
}
