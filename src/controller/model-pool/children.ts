import type { KubeClient } from '../../platform/kube/client.ts'
import { isForbidden, isNotFound, unlessNotFound } from '../../platform/kube/errors.ts'
import { getObject, mergePatch } from '../../platform/kube/objects.ts'
import { deployments, secrets } from '../../platform/kube/resources.ts'
import type { KubeObject } from '../../platform/kube/types.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { controllerOf } from '../generation-job/views.ts'
import { poolKeySecretName } from '../pool-keys.ts'
import { poolDeploymentName } from './names.ts'
import type { ChildState, PoolObserved } from './observed.ts'

/**
 * Whether the pool's key is there. The controller must not read Secrets: no policy can say which.
 * A patch that changes nothing shows one as well, and those a policy limits to keys of pools.
 */
export async function readKeyState(client: KubeClient, pool: ModelPool): Promise<ChildState> {
  const { name: poolName, namespace } = pool.metadata
  const name = poolKeySecretName(poolName)
  try {
    return stateOf(await mergePatch(client, secrets, { namespace, name, patch: {} }), pool)
  } catch (error) {
    if (isNotFound(error)) return 'Absent'
    if (isForbidden(error)) return 'Foreign'
    throw error
  }
}

/** Asks the API server about a Deployment that the cache does not show as the pool's own. */
export async function readDeployment(
  client: KubeClient,
  pool: ModelPool,
): Promise<PoolObserved['deployment']> {
  const { name, namespace } = pool.metadata
  const ref = { namespace, name: poolDeploymentName(name) }
  const object = await getObject(client, deployments, ref).catch(unlessNotFound)
  if (object === undefined) return { state: 'Absent' }
  return isOwn(object, pool) ? { state: 'Own', object } : { state: 'Foreign' }
}

export function isOwn(object: KubeObject, pool: ModelPool): boolean {
  return controllerOf(object)?.uid === pool.metadata.uid
}

function stateOf(object: KubeObject, pool: ModelPool): ChildState {
  return isOwn(object, pool) ? 'Own' : 'Foreign'
}
