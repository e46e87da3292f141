import type { KubeClient } from '../../platform/kube/client.ts'
import { isNotFound } from '../../platform/kube/errors.ts'
import { getObject, listObjects } from '../../platform/kube/objects.ts'
import { jobs, keyOf, pods } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { labels } from '../../shared/names.ts'
import type { ApiClient } from '../api-client.ts'
import type { Caches } from '../caches.ts'
import type { AdmissionBoard } from './admission-board.ts'
import { attemptsOf, modelsOf } from './admission-input.ts'
import { currentAttemptNumber } from './attempt.ts'
import type { HoldMemory } from './hold-memory.ts'
import { attemptJobName, jobIdOf, parseChildName } from './names.ts'
import type { Facts, HoldAnswer } from './observed.ts'
import {
  type LocalFacts,
  needsConfirmation,
  needsHold,
  needsSettlement,
  reportNeeded,
} from './questions.ts'

export type ObserveParts = {
  readonly client: KubeClient
  readonly api: ApiClient
  readonly caches: Caches
  readonly board: AdmissionBoard
  readonly holds: HoldMemory
  readonly clock: Clock
}

/** Gathers everything one decision needs: the caches first, then only what they cannot know. */
export async function observe(parts: ObserveParts, job: GenerationJob): Promise<Facts> {
  const local = observeLocally(parts, job)
  const confirmedGone = needsConfirmation(local) && (await confirmGone(parts, local))
  const [hold, report, settlement] = await Promise.all([
    needsHold(local) ? askHold(parts, local) : undefined,
    askReport(parts, local, confirmedGone),
    needsSettlement(local) ? parts.api.getSettlement(jobIdOf(job)) : undefined,
  ])
  return { ...local, confirmedGone, hold, report, settlement, nowMs: parts.clock.nowMs() }
}

function observeLocally({ caches, board, clock }: ObserveParts, job: GenerationJob): LocalFacts {
  return {
    job,
    ...modelsOf(caches, job),
    attempts: attemptsOf(caches, job.metadata.uid),
    clusterGpus: board.gpus().total,
    nowMs: clock.nowMs(),
  }
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
  // Whoever was behind this job only because its hold was not known may go on.
  board.touch()
  return holds.remember(jobKey, answer, clock.nowMs())
}

/**
 * Caches may lag behind our own writes: before an attempt is given up as vanished, the API server
 * is asked. Its pod may have outlived its Job, so both must be gone.
 */
async function confirmGone(
  { client }: ObserveParts,
  { job, attempts }: LocalFacts,
): Promise<boolean> {
  const { uid, namespace } = job.metadata
  const number = currentAttemptNumber(job, attempts)
  const exists = await getObject(client, jobs, { namespace, name: attemptJobName(uid, number) })
    .then(() => true)
    .catch((error: unknown) => {
      if (isNotFound(error)) return false
      throw error
    })
  if (exists) return false
  const labelSelector = `${labels.jobUid}=${uid}`
  const left = await listObjects(client, pods, { namespace, labelSelector })
  return !left.some(({ metadata }) => parseChildName(metadata.name)?.attempt === number)
}
