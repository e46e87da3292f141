import { type Pod, refOf } from '../../platform/kube/resources.ts'
import type { GenerationJob, GenerationJobStatus } from '../../shared/crd/generation-job.ts'
import { jobContainerName } from '../../shared/domain/pod-contract.ts'
import { type Caches, indexKeys } from '../caches.ts'
import type { PoolKey } from '../model-pool/names.ts'
import { isTerminal } from './eligibility.ts'
import type { PooledView } from './observed.ts'
import type { PoolAnswers } from './pool-watcher.ts'

/** What status.attempt says about an attempt in a slot of a pool pod. */
export type PooledAttempt = {
  readonly number: number
  readonly pool: string
  readonly podName: string
  readonly podUID: string
  readonly runner: string
}

/** The attempt in a slot that has not come to an end yet, as far as the status says. */
export function openPooledAttempt(job: GenerationJob): PooledAttempt | undefined {
  const attempt = job.status?.attempt
  if (attempt?.outcome !== undefined || isTerminal(job)) return undefined
  return asPooled(attempt)
}

function asPooled(attempt: GenerationJobStatus['attempt']): PooledAttempt | undefined {
  if (attempt?.pool === undefined) return undefined
  const { number, pool, podName = '', podUID = '', runner = '' } = attempt
  return { number, pool, podName, podUID, runner }
}

/** `pod` is the one with the uid that the status names, as the cache shows it. */
export function viewPooled(
  { pool, podName, podUID, runner }: PooledAttempt,
  { pod, answers }: { readonly pod: Pod | undefined; readonly answers: PoolAnswers | undefined },
): PooledView {
  if (pod === undefined) return { podName, podUID, runner, pod: 'Doubtful', answers }
  const { namespace } = pod.metadata
  const ip = pod.status?.podIP
  const isReachable = namespace !== undefined && ip !== undefined
  const address = isReachable ? { namespace, pool, ip } : undefined
  return { podName, podUID, runner, pod: podState(pod), address, answers }
}

export function podState(pod: Pod): PooledView['pod'] {
  const { phase } = pod.status ?? {}
  if (phase === 'Succeeded' || phase === 'Failed') return 'Ended'
  return hasLostProcess(pod) ? 'Doubtful' : 'Runs'
}

/** The container has ended and is not back yet: whatever it did is lost. */
function hasLostProcess({ status }: Pod): boolean {
  const container = status?.containerStatuses?.find(({ name }) => name === jobContainerName)
  const { terminated, waiting } = container?.state ?? {}
  const hasEndedBefore = container?.lastState?.terminated !== undefined
  return terminated !== undefined || (waiting !== undefined && hasEndedBefore)
}

/** Jobs with a slot of this pool whose pod, as far as the caches know, does not run any more. */
export function jobsWithoutPod(
  { generationJobs, poolPods }: Pick<Caches, 'generationJobs' | 'poolPods'>,
  pool: PoolKey,
): GenerationJob[] {
  const { name } = refOf(pool)
  return generationJobs.listIndexed(indexKeys.slotsIn(name)).filter(({ status }) => {
    const [pod] = poolPods.listIndexed(indexKeys.uid(status?.attempt?.podUID ?? ''))
    return pod === undefined || podState(pod) !== 'Runs'
  })
}
