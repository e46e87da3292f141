import type { Node } from '../../platform/kube/resources.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { AdmissionNode } from '../../shared/domain/admission/nodes.ts'
import type { Candidate, RunningAttempt } from '../../shared/domain/admission/plan.ts'
import { noResources, resourcesOf } from '../../shared/domain/admission/resources.ts'
import { taints } from '../../shared/names.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { attemptState, isLive } from './attempt.ts'
import {
  isBackingOff,
  isReserved,
  type JobModels,
  modelsAreReady,
  modelSetOf,
  requestOf,
  type ClusterFacts,
  wantsToRun,
} from './eligibility.ts'
import type { JobKey } from './hold-memory.ts'
import type { AttemptView } from './observed.ts'
import { parseChildName } from './names.ts'
import { viewAttempts } from './views.ts'

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
export function viewRunning(caches: Caches): RunningAttempt[] {
  const live = [
    ...caches.jobs.listIndexed(indexKeys.live),
    ...caches.pods.listIndexed(indexKeys.live),
  ]
  const uids = new Set(live.flatMap(({ metadata }) => parseChildName(metadata.name)?.uid ?? []))
  return [...uids].flatMap((uid) => {
    const [job] = caches.generationJobs.listIndexed(indexKeys.uid(uid))
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

function viewRunningAttempt({ uid, job, attempt }: OwnedAttempt): RunningAttempt {
  return {
    uid: attemptId(uid, attempt.number),
    department: job?.spec.owner.department ?? '',
    user: job?.spec.owner.user,
    request: attempt.job?.request ?? attempt.pods[0]?.request ?? noResources,
    nodeName: attempt.pods.find(({ nodeName }) => nodeName !== undefined)?.nodeName,
  }
}

export function attemptId(uid: string, number: number): string {
  return `${uid}/${number}`
}

export function modelsOf({ models }: Pick<Caches, 'models'>, { spec }: GenerationJob): JobModels {
  const loras = (spec.parameters.loras ?? []).map(({ name }) => models.get(name))
  return { model: models.get(spec.modelRef.name), loras }
}

export type CandidateFacts = ClusterFacts & {
  readonly nowMs: number
  readonly mayBeHeld: (job: JobKey) => boolean
}

/** The job as a candidate, if it would start now were there a place for it. */
export function viewCandidate(
  caches: Caches,
  job: GenerationJob,
  facts: CandidateFacts,
): Candidate | undefined {
  const models = modelsOf(caches, job)
  const set = modelSetOf(models)
  if (set === undefined || !modelsAreReady(job, models)) return undefined
  if (!wantsToRun(job) || isBackingOff(job, facts.nowMs)) return undefined
  const { uid } = job.metadata
  if (!isReserved(job) && !facts.mayBeHeld({ key: keyOf(job), uid })) return undefined
  const attempts = attemptsOf(caches, uid)
  const { kind } = attemptState({ job, attempts, confirmedGone: false })
  if (kind !== 'None' && kind !== 'Accounted') return undefined
  return {
    uid,
    createdTime: job.metadata.creationTimestamp,
    priority: job.spec.priority,
    department: job.spec.owner.department,
    user: job.spec.owner.user,
    request: requestOf(set, facts),
    limits: limitsOf(caches, job),
  }
}

function limitsOf({ departments }: Caches, { spec }: GenerationJob): Candidate['limits'] {
  const limits = departments.get(spec.owner.department)?.spec.limits
  const ofOwner = spec.owner.limits?.runningJobs ?? Infinity
  const perUser =
    spec.owner.user === undefined ? Infinity : (limits?.runningJobsPerUser ?? Infinity)
  return { owner: Math.min(ofOwner, perUser), department: limits?.runningJobs }
}
