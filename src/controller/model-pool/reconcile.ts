import type { Outcome } from '../../platform/kube/work-queue.ts'
import type { Clock } from '../../shared/clock.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { labels } from '../../shared/names.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { UNSEEN_MAX_MS } from '../limits.ts'
import type { ControllerSettings } from '../settings.ts'
import { act, deploymentKey, type PoolActParts } from './act.ts'
import { isOwn, readDeployment, readKeyState } from './children.ts'
import type { ClaimTemplates } from './claim-templates.ts'
import { decide } from './decide.ts'
import { invalidPatch } from './invalid.ts'
import { poolDeploymentName, type PoolKey } from './names.ts'
import type { PoolObserved } from './observed.ts'
import type { PoolBoard } from './pool-board.ts'
import { poolFacts } from './pool-models.ts'
import { isLate } from './status.ts'

export type PoolReconcileParts = PoolActParts & {
  readonly caches: Caches
  readonly board: PoolBoard
  readonly settings: ControllerSettings
  readonly clock: Clock
  /** uids of the pools whose key has been seen: Secrets are not watched. */
  readonly keysSeen: Map<PoolKey, string>
  readonly templates: ClaimTemplates
}

/** One pass over one ModelPool. Throws when a step fails: the queue tries again, later. */
export async function reconcileModelPool(
  parts: PoolReconcileParts,
  key: PoolKey,
): Promise<Outcome> {
  const pool = parts.caches.modelPools.get(key)
  if (pool === undefined || pool.metadata.deletionTimestamp !== undefined) return forget(parts, key)
  if (isBehind(parts, key, pool)) return { kind: 'RecheckAfter', ms: UNSEEN_MAX_MS }
  try {
    return await reconcilePool(parts, key, pool)
  } catch (error) {
    await tellFault(parts, pool, error)
    throw error
  }
}

async function tellFault(parts: PoolReconcileParts, pool: ModelPool, error: unknown) {
  const patch = invalidPatch(pool, { error, nowMs: parts.clock.nowMs() })
  if (patch === undefined) return
  // What cannot be said now is said with the next try.
  await act(parts, pool, { kind: 'WriteStatus', patch }).catch(() => undefined)
}

async function reconcilePool(
  parts: PoolReconcileParts,
  key: PoolKey,
  pool: ModelPool,
): Promise<Outcome> {
  const children = await observeChildren(parts, key, pool)
  // No await between what is seen of the slots and the choice of pods that get no more jobs.
  const decision = decide(observeLocally(parts, pool, children), parts.settings)
  parts.board.setLeaving(key, decision.leaving)
  for (const action of decision.actions) await act(parts, pool, action)
  const { recheckAfterMs } = decision
  return recheckAfterMs === undefined
    ? { kind: 'Done' }
    : { kind: 'RecheckAfter', ms: recheckAfterMs }
}

/** Its children go with it, by garbage collection. */
function forget(
  { board, written, keysSeen, templates }: PoolReconcileParts,
  key: PoolKey,
): Outcome {
  board.forget(key)
  keysSeen.delete(key)
  written.forget(key)
  written.forget(deploymentKey(key))
  templates.forget(key)
  return { kind: 'Done' }
}

/** Newer versions are on their way, and wake the pool when they come. */
function isBehind(parts: PoolReconcileParts, key: PoolKey, pool: ModelPool): boolean {
  const { caches, written } = parts
  const deployment = caches.deployments.get(deploymentKeyInCache(pool))
  if (written.isBehind(key, pool)) return true
  return deployment !== undefined && written.isBehind(deploymentKey(key), deployment)
}

function deploymentKeyInCache({ metadata }: ModelPool): string {
  return `${metadata.namespace ?? ''}/${poolDeploymentName(metadata.name)}`
}

type Children = Pick<PoolObserved, 'key' | 'deployment' | 'unusedTemplates'>

/** From the caches as far as they go; at first, and in doubt, the API server is asked. */
async function observeChildren(
  parts: PoolReconcileParts,
  key: PoolKey,
  pool: ModelPool,
): Promise<Children> {
  const { caches, client, board, clock, keysSeen, templates } = parts
  const cached = caches.deployments.get(deploymentKeyInCache(pool))
  const deployment =
    cached !== undefined && isOwn(cached, pool)
      ? ({ state: 'Own', object: cached } as const)
      : await readDeployment(client, pool)
  const pods = caches.poolPods.listIndexed(indexKeys.pool(key))
  const unusedTemplates =
    deployment.state === 'Own'
      ? await templates.unused({ key, pool, deployment: deployment.object, pods })
      : []
  const { uid } = pool.metadata
  const isDoubtful = board.podsOf(key).some((pod) => isLate(pod, clock.nowMs()))
  if (keysSeen.get(key) === uid && !isDoubtful) return { key: 'Own', deployment, unusedTemplates }
  const state = await readKeyState(client, pool)
  if (state === 'Own') keysSeen.set(key, uid)
  else keysSeen.delete(key)
  return { key: state, deployment, unusedTemplates }
}

function observeLocally(
  { caches, board, settings, clock }: PoolReconcileParts,
  pool: ModelPool,
  children: Children,
): PoolObserved {
  const { name, namespace = '' } = pool.metadata
  const key: PoolKey = `${namespace}/${name}`
  return {
    pool,
    ...children,
    facts: poolFacts({ caches, allowCpu: settings.allowCpu }),
    department: caches.namespaces.get(namespace)?.metadata.labels?.[labels.department],
    nodes: caches.nodes.list(),
    pods: board.podsOf(key),
    demand: board.demandOf(key),
    startupSeconds: board.startupSecondsOf(key),
    nowMs: clock.nowMs(),
  }
}
