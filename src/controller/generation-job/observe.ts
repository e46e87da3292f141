import type { KubeClient } from '../../platform/kube/client.ts'
import { unlessNotFound } from '../../platform/kube/errors.ts'
import { getObject, listObjects } from '../../platform/kube/objects.ts'
import { jobs, keyOf, pods } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { jobsNamespace, labels } from '../../shared/names.ts'
import type { ApiClient } from '../api-client.ts'
import { type Caches, indexKeys } from '../caches.ts'
import type { Kueue } from '../kueue/kueue.ts'
import type { AdmissionBoard } from './admission-board.ts'
import { attemptsOf, modelsOf } from './admission-input.ts'
import { currentAttemptNumber } from './attempt.ts'
import type { HoldMemory } from './hold-memory.ts'
import { attemptJobName, jobIdOf, parseChildName } from './names.ts'
import type { AttemptView, Facts, HoldAnswer, KueueFacts, PooledView } from './observed.ts'
import type { PoolAssignments } from './pool-assignments.ts'
import { openPooledAttempt, podState, viewPooled } from './pooled-view.ts'
import {
  type LocalFacts,
  needsConfirmation,
  needsHold,
  needsSettlement,
  reportNeeded,
  workloadNeeded,
} from './questions.ts'

export type ObserveParts = {
  readonly client: KubeClient
  readonly api: ApiClient
  readonly caches: Caches
  readonly board: AdmissionBoard
  readonly holds: HoldMemory
  readonly assignments: PoolAssignments
  readonly kueue: Kueue
  readonly clock: Clock
}

/** Gathers everything one decision needs: the caches first, then only what they cannot know. */
export async function observe(parts: ObserveParts, job: GenerationJob): Promise<Facts> {
  await parts.kueue.lookFor(job)
  const local = await withWorkload(parts, observeLocally(parts, job))
  const confirmedGone = needsConfirmation(local) && (await confirmGone(parts, local))
  const [hold, report, settlement] = await Promise.all([
    needsHold(local) ? askHold(parts, local) : undefined,
    askReport(parts, local, confirmedGone),
    needsSettlement(local) ? parts.api.getSettlement(jobIdOf(job)) : undefined,
  ])
  return { ...local, confirmedGone, hold, report, settlement, nowMs: parts.clock.nowMs() }
}

function observeLocally(parts: ObserveParts, job: GenerationJob): LocalFacts {
  const { caches, board, clock } = parts
  const attempts = observeAttempts(parts, job)
  return {
    job,
    ...modelsOf(caches, job),
    attempts,
    kueue: observeKueue(parts, job, attempts),
    clusterGpus: board.totalGpus(),
    nowMs: clock.nowMs(),
  }
}

/** The newest attempt is the current one. */
function observeKueue(
  { kueue }: ObserveParts,
  job: GenerationJob,
  attempts: readonly AttemptView[],
): KueueFacts {
  const jobUid = attempts.at(-1)?.job?.uid
  const workload = jobUid === undefined ? undefined : kueue.workloadOf(jobUid)
  return { isServed: kueue.isServed, queue: kueue.queueOf(job), workload }
}

/** While the API server cannot say what became of the Workload, the job waits. */
async function withWorkload({ kueue }: ObserveParts, local: LocalFacts): Promise<LocalFacts> {
  const attemptJob = workloadNeeded(local)
  if (local.kueue === undefined || attemptJob === undefined) return local
  const { namespace } = local.job.metadata
  const workload = await kueue.findWorkload({ namespace, uid: attemptJob.uid })
  return { ...local, kueue: { ...local.kueue, workload } }
}

/** With the one in a slot of a pool pod, which has no Job: the status alone tells of it. */
function observeAttempts(
  { caches, assignments }: ObserveParts,
  job: GenerationJob,
): readonly AttemptView[] {
  const { uid } = job.metadata
  const own = attemptsOf(caches, uid)
  const open = openPooledAttempt(job)
  if (open === undefined) return own
  const { number } = open
  const [pod] = caches.poolPods.listIndexed(indexKeys.uid(open.podUID))
  const answers = assignments.answersOf(keyOf(job), { uid, attempt: number })
  const stray = own.find((attempt) => attempt.number === number)
  const pooled = viewPooled(open, { pod, answers })
  const attempts = own.filter((attempt) => attempt !== stray)
  return [...attempts, { pods: [], ...stray, number, pooled }].toSorted(byNumber)
}

function byNumber(left: AttemptView, right: AttemptView): number {
  return left.number - right.number
}

async function askReport(parts: ObserveParts, local: LocalFacts, confirmedGone: boolean) {
  const number = reportNeeded(local, confirmedGone)
  if (number === undefined) return undefined
  return await parts.api.getReport(jobIdOf(local.job), number)
}

async function askHold(parts: ObserveParts, { job }: LocalFacts): Promise<HoldAnswer> {
  const { api, board, clock, holds } = parts
  const { uid, namespace = '', name } = job.metadata
  const jobKey = { key: keyOf(job), uid }
  const known = holds.recall(jobKey, clock.nowMs())
  if (known !== undefined) return known
  const answer = await api.putHold(jobIdOf(job), { uid, namespace, name, spec: job.spec })
  const remembered = holds.remember(jobKey, answer, clock.nowMs())
  // Whoever was behind this job only because its hold was not known may go on.
  board.noteJob(jobKey.key)
  return remembered
}

/**
 * Caches may lag behind our own writes: before an attempt is given up as vanished, the API server
 * is asked.
 */
async function confirmGone(parts: ObserveParts, { job, attempts }: LocalFacts): Promise<boolean> {
  const { uid, namespace = '' } = job.metadata
  const number = currentAttemptNumber(job, attempts)
  const pooled = attempts.find((attempt) => attempt.number === number)?.pooled
  if (pooled !== undefined) return await isPoolPodGone(parts.client, { namespace, pooled })
  return await isOwnPodGone(parts.client, { uid, namespace, number })
}

type OwnPod = { readonly uid: string; readonly namespace: string; readonly number: number }

/** The pod may have outlived its Job, so both must be gone. */
async function isOwnPodGone(client: KubeClient, { uid, namespace, number }: OwnPod) {
  const ref = { namespace, name: attemptJobName(uid, number) }
  const job = await getObject(client, jobs, ref).catch(unlessNotFound)
  if (job !== undefined) return false
  const labelSelector = `${labels.jobUid}=${uid}`
  const left = await listObjects(client, pods, { namespace, labelSelector })
  return !left.some(({ metadata }) => parseChildName(metadata.name)?.attempt === number)
}

type PoolPodOf = { readonly namespace: string; readonly pooled: PooledView }

/** Also when the pod is still there without the process that had the job. */
async function isPoolPodGone(client: KubeClient, { namespace, pooled }: PoolPodOf) {
  const { address, podName: name, podUID } = pooled
  // The status does not say whether the pool is the namespace's own or the platform's.
  const places = address === undefined ? [namespace, jobsNamespace] : [address.namespace]
  for (const place of new Set(places)) {
    const pod = await getObject(client, pods, { namespace: place, name }).catch(unlessNotFound)
    if (pod?.metadata.uid === podUID) return podState(pod) !== 'Runs'
  }
  return true
}
