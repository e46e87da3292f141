import type { Node } from '../../platform/kube/resources.ts'
import type { Department } from '../../shared/crd/department.ts'
import { type GenerationJob, isPictureTask } from '../../shared/crd/generation-job.ts'
import type { DepartmentView, RunningJob } from '../../shared/domain/admission/input.ts'
import type { AdmissionNode } from '../../shared/domain/admission/nodes.ts'
import type { Candidate } from '../../shared/domain/admission/queue.ts'
import {
  noResources,
  type Resources,
  resourcesOf,
} from '../../shared/domain/admission/resources.ts'
import { jobsNamespace, taints } from '../../shared/names.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { findCondition } from '../conditions.ts'
import type { PoolBoardView, PoolPod } from '../model-pool/pool-board.ts'
import { allowedTime, attemptState, isHeldByQuota, isLive } from './attempt.ts'
import {
  type ClusterFacts,
  isBackingOff,
  type JobModels,
  modelsAreReady,
  modelSetOf,
  requestOf,
  wantsToRun,
} from './eligibility.ts'
import type { AttemptView } from './observed.ts'
import { childNameOf, viewAttempts } from './views.ts'

/** The inputs of admission, read from the caches. Nothing here asks or writes anything. */

export function viewNodes(caches: Pick<Caches, 'nodes'>): AdmissionNode[] {
  return caches.nodes.list().map((node) => ({
    name: node.metadata.name,
    usable: isUsable(node),
    allocatable: resourcesOf(node.status?.allocatable),
  }))
}

const tolerated: readonly string[] = Object.values(taints)

function isUsable({ spec, status }: Node): boolean {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  const repelling = (spec?.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule')
  return (
    ready?.status === 'True' &&
    spec?.unschedulable !== true &&
    repelling.every(({ key }) => tolerated.includes(key))
  )
}

export function viewDepartment({ spec }: Department): DepartmentView {
  const { runningJobs, runningJobsPerUser } = spec.limits ?? {}
  return { weight: spec.weight, runningJobs, runningJobsPerUser }
}

export function attemptsOf(
  caches: Pick<Caches, 'jobs' | 'pods'>,
  uid: string,
): readonly AttemptView[] {
  const index = indexKeys.uid(uid)
  return viewAttempts({
    uid,
    jobs: caches.jobs.listIndexed(index),
    pods: caches.pods.listIndexed(index),
  })
}

/** Every attempt that may use GPUs, also of jobs that have ended or been deleted meanwhile. */
export function viewRunningOnNodes(caches: Caches): RunningJob[] {
  const live = [
    ...caches.jobs.listIndexed(indexKeys.live),
    ...caches.pods.listIndexed(indexKeys.live),
  ]
  const uids = new Set(live.flatMap((child) => childNameOf(child)?.uid ?? []))
  return [...uids].flatMap((uid) => {
    const job = jobOf(caches, uid)
    return attemptsOf(caches, uid)
      .filter(isLive)
      .map((attempt) => viewRunningAttempt({ uid, job, attempt }))
  })
}

type OwnedAttempt = {
  readonly uid: string
  readonly job: GenerationJob | undefined
  readonly attempt: AttemptView
}

function viewRunningAttempt({ uid, job, attempt }: OwnedAttempt): RunningJob {
  const nodeName = attempt.pods.find((each) => each.nodeName !== undefined)?.nodeName
  const request = requestOfAttempt(attempt)
  const owner = job === undefined ? labelledOwnerOf(attempt) : ownerOf(job)
  const owned = { uid: attemptId(uid, attempt.number), ...owner }
  if (isHeldByQuota(attempt) && attempt.pods.length === 0) {
    return { ...owned, gpus: 0, startMs: startMsOf(attempt), place: { kind: 'Quota' } }
  }
  return {
    ...owned,
    gpus: request.gpus,
    startMs: startMsOf(attempt),
    place: { kind: 'Node', nodeName, plannedName: attempt.job?.plannedName, request },
  }
}

function requestOfAttempt({ job, pods: [pod] }: AttemptView): Resources {
  return job?.request ?? pod?.request ?? noResources
}

/** Since when it has room on a Node, or waits for it. */
function startMsOf(attempt: AttemptView): number {
  const [pod] = attempt.pods
  const time = pod?.startedTime ?? allowedTime(attempt) ?? pod?.createdTime
  return time === undefined ? 0 : Date.parse(time)
}

function jobOf({ generationJobs }: Pick<Caches, 'generationJobs'>, uid: string) {
  return generationJobs.listIndexed(indexKeys.uid(uid))[0]
}

function ownerOf(job: GenerationJob | undefined) {
  const { department = '', user } = job?.spec.owner ?? {}
  return { department, user, model: job?.spec.modelRef.name ?? '' }
}

/** What an attempt says of a job that was deleted. */
function labelledOwnerOf({ job, pods: [pod] }: AttemptView) {
  const department = job?.department ?? pod?.department ?? ''
  return { ...ownerOf(undefined), department }
}

export function attemptId(uid: string, number: number): string {
  return `${uid}/${number}`
}

export type SlotSources = {
  readonly caches: Pick<Caches, 'generationJobs'>
  readonly pods: readonly PoolPod[]
  readonly views: readonly PoolBoardView[]
  readonly nowMs: number
}

/** Every attempt that has a slot, also of jobs that nobody knows any more. */
export function viewRunningInSlots({ caches, pods, views, nowMs }: SlotSources): RunningJob[] {
  const gpusPerSlot = new Map(views.map((view) => [view.name, view.gpusPerSlot]))
  return pods.flatMap(({ key, uid: pod, jobs }) =>
    jobs.map(({ uid, attempt, model }): RunningJob => {
      const job = jobOf(caches, uid)
      return {
        uid: attemptId(uid, attempt),
        ...ownerOf(job),
        model,
        gpus: gpusPerSlot.get(key) ?? 0,
        startMs: assignedMs(job, attempt) ?? nowMs,
        place: { kind: 'Slot', pool: key, pod },
      }
    }),
  )
}

/** When the slot was given away, in whole seconds; undefined while the cache does not show it. */
function assignedMs(job: GenerationJob | undefined, number: number): number | undefined {
  const { attempt, conditions } = job?.status ?? {}
  if (attempt?.number !== number) return undefined
  const admitted = findCondition(conditions, 'Admitted')
  const time = attempt.startTime ?? (number === 1 ? admitted?.lastTransitionTime : undefined)
  return time === undefined ? undefined : Date.parse(time)
}

export function modelsOf({ models }: Pick<Caches, 'models'>, { spec }: GenerationJob): JobModels {
  const loras = (spec.parameters.loras ?? []).map(({ name }) => models.get(name))
  return { model: models.get(spec.modelRef.name), loras }
}

export function loraNamesOf({ spec }: GenerationJob): string[] {
  return (spec.parameters.loras ?? []).map(({ name }) => name)
}

/** What a pool can serve. */
export type PoolOffer = Pick<PoolBoardView, 'name' | 'namespace' | 'models'>

export type CandidateFacts = ClusterFacts & {
  readonly nowMs: number
  readonly offers: readonly PoolOffer[]
  /** Its credits are held, or may be as far as anybody knows, and it was given no place yet. */
  readonly mayStart: (job: GenerationJob) => boolean
  /** Whether Kueue decides when the job starts. */
  readonly hasQuota: (job: GenerationJob) => boolean
}

/** The job as a candidate, if it would start now were there a place for it. */
export function viewCandidate(
  caches: Pick<Caches, 'models' | 'jobs' | 'pods'>,
  job: GenerationJob,
  facts: CandidateFacts,
): Candidate | undefined {
  const { execution, modelRef, owner, priority } = job.spec
  const models = modelsOf(caches, job)
  const set = modelSetOf(models)
  if (execution === 'External' || set === undefined || !modelsAreReady(job, models)) {
    return undefined
  }
  if (!wantsToRun(job) || isBackingOff(job, facts.nowMs) || !facts.mayStart(job)) return undefined
  if (!isIdle(caches, job)) return undefined
  return {
    uid: job.metadata.uid,
    createdMs: Date.parse(job.metadata.creationTimestamp),
    priority,
    department: owner.department,
    user: owner.user,
    request: requestOf(set, facts),
    model: modelRef.name,
    loras: loraNamesOf(job),
    ...wayOf(job, { ...facts, execution }),
    runningJobsMax: owner.limits?.runningJobs,
  }
}

type Way = Pick<Candidate, 'execution' | 'pools'>
type WayFacts = Pick<CandidateFacts, 'offers' | 'hasQuota'> & Pick<Candidate, 'execution'>

/** Where it may go. */
function wayOf(job: GenerationJob, { execution, offers, hasQuota }: WayFacts): Way {
  if (hasQuota(job)) return { execution: 'Quota', pools: [] }
  return { execution, pools: execution === 'Dedicated' ? [] : poolsFor(job, offers) }
}

function isIdle(caches: Pick<Caches, 'jobs' | 'pods'>, job: GenerationJob): boolean {
  const attempts = attemptsOf(caches, job.metadata.uid)
  const { kind } = attemptState({ job, attempts, confirmedGone: false })
  return kind === 'None' || kind === 'Accounted'
}

/**
 * Pools that can serve the job: its namespace's own and the platform's, with its model and all its
 * LoRAs. A pool pod cannot mount the ConfigMaps of jobs that come later.
 */
function poolsFor(job: GenerationJob, offers: readonly PoolOffer[]): string[] {
  const { metadata, spec } = job
  const isPoolable = (spec.inputs ?? []).every(({ configMapRef }) => configMapRef === undefined)
  if (!isPoolable || !isPictureTask(spec.task)) return []
  const names = [spec.modelRef.name, ...loraNamesOf(job)]
  const isNear = ({ namespace }: PoolOffer) =>
    namespace === metadata.namespace || namespace === jobsNamespace
  return offers
    .filter((offer) => isNear(offer) && names.every((name) => offer.models.includes(name)))
    .map(({ name }) => name)
}
