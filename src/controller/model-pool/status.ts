import type { Condition } from '../../shared/crd/common.ts'
import { modelPoolReasons } from '../../shared/crd/conditions.ts'
import type { ModelPoolStatus } from '../../shared/crd/model-pool.ts'
import { labels } from '../../shared/names.ts'
import { type ConditionDraft, findCondition, mergeConditions } from '../conditions.ts'
import { MESSAGE_LENGTH_MAX, POD_STUCK_MS } from '../limits.ts'
import { mergePatchBetween } from '../status-patch.ts'
import { type GpuShape, gpuShape, hasGpus } from './gpu-shape.ts'
import { isStopped } from './growth.ts'
import type { PoolObserved } from './observed.ts'
import type { PoolPod } from './pool-board.ts'
import { podGpus } from './pool-models.ts'
import type { PoolProblem, PoolReason } from './problem.ts'

export type PoolSituation = {
  readonly problem: PoolProblem | undefined
  /** Pods that there are to be. */
  readonly replicas: number
}

/** The status patch that the pool needs, or undefined when its status is right. */
export function statusPatch(observed: PoolObserved, situation: PoolSituation): object | undefined {
  const { pool, deployment, nowMs } = observed
  const { generation, name } = pool.metadata
  const counts = deployment.state === 'Own' ? deployment.object.status : undefined
  const conditions = mergeConditions(
    pool.status?.conditions,
    [currentCondition(observed, situation)],
    { generation, nowMs },
  )
  const after: ModelPoolStatus = {
    ...pool.status,
    observedGeneration: generation,
    conditions,
    replicas: counts?.replicas ?? 0,
    readyReplicas: counts?.readyReplicas ?? 0,
    selector: `${labels.pool}=${name}`,
  }
  return mergePatchBetween(pool.status ?? {}, after)
}

function currentCondition(observed: PoolObserved, situation: PoolSituation): ConditionDraft {
  const { pool } = observed
  const { problem, replicas } = situation
  if (isStopped(pool))
    return readyCondition('False', 'Stopped', 'The annotation atelier.dev/stop is set.')
  if (problem !== undefined) return readyCondition('False', problem.reason, problem.message)
  if (pool.spec.replicas === 0) return readyCondition('False', 'Stopped', 'spec.replicas is 0.')
  if (!hasMatchingNode(observed))
    return readyCondition('False', 'NoMatchingGpu', gpuMessage(observed))
  // It is as ready as it is meant to be: the next job brings a pod.
  if (replicas === 0) return readyCondition('True', 'ScaledToZero')
  const ready = observed.pods.filter((pod) => pod.ready && !pod.deleting).length
  if (ready >= replicas) return readyCondition('True', 'Ready')
  return readyCondition(ready > 0 ? 'True' : 'False', 'ScalingUp', stuckMessage(observed))
}

export function readyCondition(
  status: Condition['status'],
  reason: PoolReason,
  message: string = modelPoolReasons.Ready[reason],
): ConditionDraft {
  return { type: 'Ready', status, reason, message: message.slice(0, MESSAGE_LENGTH_MAX) }
}

function shapeOf({ pool, facts }: PoolObserved): GpuShape {
  return gpuShape(pool.spec.gpu, podGpus(pool, facts))
}

function hasMatchingNode(observed: PoolObserved): boolean {
  const shape = shapeOf(observed)
  return shape.kind !== 'Resource' || observed.nodes.some((node) => hasGpus(node, shape))
}

function gpuMessage(observed: PoolObserved): string {
  const shape = shapeOf(observed)
  if (shape.kind !== 'Resource') return modelPoolReasons.Ready.NoMatchingGpu
  const wishes = shape.requirements.map(({ key, operator, values }) => {
    return `${key} ${operator} ${values.join(', ')}`
  })
  const wanted = [`${shape.count} × ${shape.resource}`, ...wishes].join('; ')
  return `spec.gpu: no Node has what a pod asks for (${wanted}).`
}

/** Why pods that should take jobs by now do not; undefined while none is late. */
function stuckMessage(observed: PoolObserved): string | undefined {
  const refusal = refusalOfPods(observed.deployment)
  const late = observed.pods.filter((pod) => isLate(pod, observed.nowMs) && pod.waiting)
  const [oldest] = late.toSorted((left, right) => left.createdMs - right.createdMs)
  const stuck = refusal ?? oldest?.waiting
  if (stuck === undefined) return undefined
  const cause = refusal === undefined ? `Pods wait: ${stuck.reason}.` : 'Kubernetes makes no pod.'
  // The scheduler's own message changes with every Node: the first one for a reason stays.
  const kept = findCondition(observed.pool.status?.conditions, 'Ready')?.message
  return kept?.startsWith(cause) === true ? kept : `${cause} ${stuck.message}`.trim()
}

/** A quota, a policy or a missing account: Kubernetes cannot make the pods. */
export function refusalOfPods(
  deployment: PoolObserved['deployment'],
): { readonly reason: string; readonly message: string } | undefined {
  const conditions = deployment.state === 'Own' ? deployment.object.status?.conditions : []
  const failure = conditions?.find(({ type }) => type === 'ReplicaFailure')
  if (failure?.status !== 'True') return undefined
  return { reason: failure.reason ?? 'FailedCreate', message: failure.message ?? '' }
}

/** It should take jobs by now. */
export function isLate({ ready, deleting, createdMs }: PoolPod, nowMs: number): boolean {
  return !ready && !deleting && nowMs - createdMs >= POD_STUCK_MS
}
