import type { Deployment } from '../../platform/kube/resources.ts'
import type { ApplyDraft } from '../../platform/kube/types.ts'
import { annotations, labels } from '../../shared/names.ts'
import { covers } from '../covers.ts'
import { POD_STUCK_MS, POOL_RECHECK_MS, RECHECK_MIN_MS } from '../limits.ts'
import { autoscale, endingOf, type Scaling, type ScalingInput } from './autoscale.ts'
import { type PoolPlan, poolShape, type PoolShape } from './deployment.ts'
import { hasNoRoom, isStopped } from './growth.ts'
import { hasYielding } from './pool-demand.ts'
import type { PoolAction, PoolDecision, PoolObserved } from './observed.ts'
import type { PoolPod } from './pool-board.ts'
import { LEAVING_COST, STAYING_COST } from './pool-pod.ts'
import { problemOf } from './problem.ts'
import { isLate, refusalOfPods, statusPatch } from './status.ts'

/** What one pool needs now. Pure and total. */
export function decide(observed: PoolObserved, settings: PoolPlan['settings']): PoolDecision {
  const problem = problemOf(observed)
  if (problem?.reason === 'NameTaken') {
    // Nothing of ours is in the way, and nobody tells when it goes.
    const actions = writeStatus(observed, { problem, replicas: 0 })
    return { actions, leaving: [], recheckAfterMs: POOL_RECHECK_MS }
  }
  const scaling = autoscale(scalingInput(observed))
  const children =
    problem === undefined
      ? childActions(observed, { scaling, settings })
      : scaleOnly(observed, scaling)
  const actions = [...children, ...writeStatus(observed, { problem, ...scaling })]
  return { actions, leaving: scaling.leaving, recheckAfterMs: recheckOf(observed, scaling) }
}

function scalingInput(observed: PoolObserved): ScalingInput {
  const { pool, deployment, pods, demand, startupSeconds, nowMs } = observed
  const object = deployment.state === 'Own' ? deployment.object : undefined
  return {
    spec: pool.spec,
    stopped: isStopped(pool),
    current: object?.spec?.replicas ?? 0,
    blocked: refusalOfPods(deployment) !== undefined,
    pods: pods.filter(isPresent).map((pod) => {
      return { ...pod, busySlots: pod.jobs.length, hasNoRoom: hasNoRoom(pod) }
    }),
    demand: { ...demand, startupSeconds },
    nowMs,
  }
}

function isPresent({ deleting, terminal }: PoolPod): boolean {
  return !deleting && !terminal
}

type Wanted = { readonly scaling: Scaling; readonly settings: PoolPlan['settings'] }

function childActions(observed: PoolObserved, { scaling, settings }: Wanted): PoolAction[] {
  const { pool, facts, key, deployment } = observed
  const shape = poolShape({ pool, facts, settings })
  const isRight = deployment.state === 'Own' && hasShape(deployment.object, shape)
  const applying = isRight ? [] : applyActions(shape, scaling.replicas)
  const lacksAccount = key === 'Absent' || refusalOfPods(deployment) !== undefined
  return [
    ...(lacksAccount ? [{ kind: 'EnsureAccount' as const }] : []),
    ...(key === 'Absent' ? [{ kind: 'CreateKey' as const }] : []),
    ...scaleActions(observed, { scaling, applying }),
    ...(isRight ? templateActions(observed) : []),
  ]
}

/** A template that no pod refers to, nor any that is still to come. */
function templateActions({ unusedTemplates }: PoolObserved): PoolAction[] {
  return unusedTemplates.map((template) => ({ kind: 'DeleteClaimTemplate', template }))
}

/** With models that are not as they should be, the pods that run go on as they are. */
function scaleOnly(observed: PoolObserved, scaling: Scaling): PoolAction[] {
  if (observed.deployment.state !== 'Own') return []
  return scaleActions(observed, { scaling, applying: [] })
}

type Changes = { readonly scaling: Scaling; readonly applying: readonly PoolAction[] }

/** Costs come before the number: Kubernetes looks at them when it chooses. */
function scaleActions(observed: PoolObserved, { scaling, applying }: Changes): PoolAction[] {
  const { deployment } = observed
  const costs = costActions(observed, scaling)
  if (deployment.state !== 'Own') return [...costs, ...applying]
  const { object } = deployment
  const before = object.spec?.replicas ?? 0
  if (before === scaling.replicas) return [...costs, ...applying]
  const scale: PoolAction = { kind: 'Scale', deployment: object, replicas: scaling.replicas }
  const changes = applying.length === 0 ? [scale] : applying
  return [...costs, ...changes, scaledEvent(observed, before, scaling.replicas)]
}

function applyActions(shape: PoolShape, replicas: number): PoolAction[] {
  const { deployment, claimTemplate } = shape
  const draft: ApplyDraft<Deployment> = {
    ...deployment,
    spec: { ...deployment.spec, replicas },
  }
  return [
    ...(claimTemplate === undefined
      ? []
      : [{ kind: 'CreateClaimTemplate' as const, template: claimTemplate }]),
    { kind: 'ApplyDeployment', draft },
  ]
}

/** The digest notices what is not wanted any more, the comparison what others have changed. */
function hasShape(object: Deployment, { deployment }: PoolShape): boolean {
  const { metadata, spec } = deployment
  const wanted = {
    annotations: { [annotations.shape]: metadata.annotations?.[annotations.shape] },
    labels: { [labels.pool]: metadata.labels?.[labels.pool] },
  }
  return covers(object.metadata, wanted) && covers(object.spec, spec)
}

/** When all pods go there is no choice to be made, and nothing to be written for it. */
function costActions({ pods }: PoolObserved, scaling: Scaling): PoolAction[] {
  if (scaling.replicas === 0) return []
  const present = pods.filter(isPresent)
  const ending = endingOf(scaling, present.length)
  return present.flatMap((pod): PoolAction[] => {
    const goes = ending.includes(pod.uid)
    if (goes === pod.marked) return []
    return [{ kind: 'SetDeletionCost', pod, cost: goes ? LEAVING_COST : STAYING_COST }]
  })
}

function scaledEvent(observed: PoolObserved, before: number, after: number): PoolAction {
  const reason = after > before ? 'ScaledUp' : 'ScaledDown'
  const message = `From ${before} to ${after} pods: ${causeOf(observed, after > before)}.`
  return { kind: 'RecordEvent', event: { type: 'Normal', reason, message } }
}

function causeOf({ pool, demand, pods }: PoolObserved, isUp: boolean): string {
  const { replicas, minReplicas, maxReplicas, idleSeconds } = pool.spec
  if (isStopped(pool)) return `the annotation ${annotations.stop} is set`
  if (replicas !== undefined) return `spec.replicas is ${replicas}`
  const hasGivenWay = demand.room !== undefined && (pods.some(hasNoRoom) || hasYielding(demand))
  if (!isUp && hasGivenWay) return 'a job needs a Node of its own'
  if (!isUp) return `nothing to do for ${idleSeconds} s, or more than ${maxReplicas} pods`
  if (demand.waitingJobs === 0) return `spec.minReplicas is ${minReplicas}`
  return `${demand.waitingJobs} jobs wait`
}

function writeStatus(
  observed: PoolObserved,
  situation: Parameters<typeof statusPatch>[1],
): PoolAction[] {
  const patch = statusPatch(observed, situation)
  return patch === undefined ? [] : [{ kind: 'WriteStatus', patch }]
}

/** Pods that are late are looked at again: the reason may be an object that no watch shows. */
function recheckOf(observed: PoolObserved, { recheckAfterMs }: Scaling): number | undefined {
  const { deployment, pods, nowMs } = observed
  const refusedMs = refusalOfPods(deployment) === undefined ? Infinity : POOL_RECHECK_MS
  const unready = pods.filter((pod) => isPresent(pod) && !pod.ready)
  const lateMs = unready.map((pod) => {
    return isLate(pod, nowMs) ? POOL_RECHECK_MS : pod.createdMs + POD_STUCK_MS - nowMs
  })
  const next = Math.min(recheckAfterMs ?? Infinity, refusedMs, ...lateMs)
  return next === Infinity ? undefined : Math.max(next, RECHECK_MIN_MS)
}
