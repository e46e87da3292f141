import type { Job, Pod } from '../../platform/kube/resources.ts'
import type { OwnerReference } from '../../platform/kube/types.ts'
import { type Resources, resourcesOf } from '../../shared/domain/admission/resources.ts'
import { fetchContainerName, jobContainerName } from '../../shared/domain/pod-contract.ts'
import { labels } from '../../shared/names.ts'
import { perObject } from '../per-object.ts'
import { attemptJobName, parseChildName } from './names.ts'
import { kueueLabels } from '../kueue/names.ts'
import { plannedNameOf } from './planned-node.ts'
import type { AttemptJobView, AttemptView, JobQuota, PodPhase, PodView } from './observed.ts'

export type Children = {
  /** uid of the GenerationJob. */
  readonly uid: string
  readonly jobs: readonly Job[]
  readonly pods: readonly Pod[]
}

/** Undefined for what was not made for an attempt. */
export const childNameOf = perObject(({ metadata }: Job | Pod) => parseChildName(metadata.name))
const attemptJobOf = perObject(viewAttemptJob)
const podOf = perObject(viewPod)

/**
 * The attempts of one GenerationJob, ascending. Only what it owns counts: names and labels can be
 * copied, so a Job must name this uid as its controller, and a pod must be that Job's.
 */
export function viewAttempts({ uid, jobs, pods }: Children): AttemptView[] {
  const attempts = new Map<number, { job?: AttemptJobView; pods: PodView[] }>()
  const attemptOf = (number: number) => {
    const attempt = attempts.get(number) ?? { pods: [] }
    attempts.set(number, attempt)
    return attempt
  }
  for (const job of jobs) {
    const number = attemptNumberOf(job, uid)
    if (number !== undefined) attemptOf(number).job = attemptJobOf(job)
  }
  for (const pod of pods) {
    const number = childNameOf(pod)?.attempt
    if (number === undefined) continue
    if (!isPodOf(pod, { name: attemptJobName(uid, number), uid: attempts.get(number)?.job?.uid })) {
      continue
    }
    attemptOf(number).pods.push(podOf(pod))
  }
  return [...attempts]
    .map(([number, attempt]) => ({ number, ...attempt }))
    .toSorted((left, right) => left.number - right.number)
}

export function controllerOf(object: {
  readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] }
}): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true)
}

function attemptNumberOf(job: Job, uid: string): number | undefined {
  const parsed = childNameOf(job)
  return parsed?.uid === uid && controllerOf(job)?.uid === uid ? parsed.attempt : undefined
}

type PodOwner = { readonly name: string; readonly uid: string | undefined }

/** The owner's uid is known while the Job exists; a pod may outlive it for some seconds. */
function isPodOf(pod: Pod, owner: PodOwner): boolean {
  const controller = controllerOf(pod)
  if (controller?.kind !== 'Job' || controller.name !== owner.name) return false
  return owner.uid === undefined || controller.uid === owner.uid
}

function viewAttemptJob(job: Job): AttemptJobView {
  const endings = ['Complete', 'Failed']
  return {
    name: job.metadata.name,
    uid: job.metadata.uid,
    createdTime: job.metadata.creationTimestamp,
    deleting: job.metadata.deletionTimestamp !== undefined,
    finished: (job.status?.conditions ?? []).some(
      (condition) => endings.includes(condition.type) && condition.status === 'True',
    ),
    request: requestOfPod(job.spec?.template.spec),
    plannedName: plannedNameOf(job.spec?.template.spec),
    department: job.metadata.labels?.[labels.department],
    quota: viewQuota(job),
  }
}

/** By the label on the Job itself: Kueue gives one to Jobs without, where it is told to. */
function viewQuota({ metadata, spec, status }: Job): JobQuota | undefined {
  if ((metadata.labels?.[kueueLabels.queue] ?? '') === '') return undefined
  return { suspended: spec?.suspend === true, resumedTime: status?.startTime }
}

export function requestOfPod(spec: Pod['spec']): Resources {
  const container = spec?.containers.find(({ name }) => name === jobContainerName)
  return resourcesOf(container?.resources?.limits)
}

const phases: readonly PodPhase[] = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown']

function viewPod(pod: Pod): PodView {
  const { name, uid, creationTimestamp, deletionTimestamp } = pod.metadata
  return {
    name,
    uid,
    nodeName: pod.spec?.nodeName,
    phase: phases.find((phase) => phase === pod.status?.phase) ?? 'Unknown',
    deleting: deletionTimestamp !== undefined,
    createdTime: creationTimestamp,
    ...viewContainer(pod),
    request: requestOfPod(pod.spec),
    department: pod.metadata.labels?.[labels.department],
    disrupted: isDisrupted(pod),
    fetching: isFetching(pod),
    waiting: waitingOf(pod),
  }
}

function viewContainer(pod: Pod): Pick<PodView, 'startedTime' | 'exitCode' | 'outOfMemory'> {
  const { running, terminated } = containerStatusOf(pod)?.state ?? {}
  return {
    // Null where the container ended without ever having started.
    startedTime: running?.startedAt ?? terminated?.startedAt ?? undefined,
    exitCode: terminated?.exitCode ?? failedFetchCode(pod),
    outOfMemory: terminated?.reason === 'OOMKilled',
  }
}

function containerStatusOf(pod: Pod) {
  return pod.status?.containerStatuses?.find(({ name }) => name === jobContainerName)
}

function fetchStateOf(pod: Pod) {
  return pod.status?.initContainerStatuses?.find(({ name }) => name === fetchContainerName)?.state
}

/** It has begun to fetch, and has not ended that well. */
function isFetching(pod: Pod): boolean {
  const { running, terminated } = fetchStateOf(pod) ?? {}
  return running !== undefined || (terminated?.exitCode ?? 0) !== 0
}

/** The container itself never runs then. */
function failedFetchCode(pod: Pod): number | undefined {
  return isFetching(pod) ? fetchStateOf(pod)?.terminated?.exitCode : undefined
}

/** Reasons of older kubelets and of the node lifecycle, beside the condition of KEP-3329. */
const disruptionReasons = [
  'Evicted',
  'NodeLost',
  'Preempting',
  'Shutdown',
  'NodeShutdown',
  'Terminated',
]

function isDisrupted(pod: Pod): boolean {
  const target = pod.status?.conditions?.find(({ type }) => type === 'DisruptionTarget')
  return target?.status === 'True' || disruptionReasons.includes(pod.status?.reason ?? '')
}

/** Why the container does not run yet. */
export function waitingOf(pod: Pod): PodView['waiting'] {
  return waitingContainer(pod) ?? waitingForNode(pod)
}

function waitingContainer(pod: Pod): PodView['waiting'] {
  const waiting = fetchStateOf(pod)?.waiting ?? containerStatusOf(pod)?.state?.waiting
  // PodInitializing: for the container that fetches, which says itself what it does.
  if (waiting?.reason === undefined || waiting.reason === 'PodInitializing') return undefined
  return { reason: waiting.reason, message: waiting.message ?? '' }
}

function waitingForNode(pod: Pod): PodView['waiting'] {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status !== 'False') return undefined
  return { reason: scheduled.reason ?? 'Unschedulable', message: scheduled.message ?? '' }
}
