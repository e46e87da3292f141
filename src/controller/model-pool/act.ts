import type { KubeClient } from '../../platform/kube/client.ts'
import { isAlreadyExists, unlessNotFound } from '../../platform/kube/errors.ts'
import type { EventRecorder } from '../../platform/kube/events.ts'
import {
  applyObject,
  createObject,
  deleteObject,
  mergePatch,
  patchStatus,
} from '../../platform/kube/objects.ts'
import {
  deployments,
  keyOf,
  modelPools,
  pods,
  resourceClaimTemplates,
  secrets,
} from '../../platform/kube/resources.ts'
import type { KubeObject } from '../../platform/kube/types.ts'
import { unreachable } from '../../shared/assert.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { annotations, poolKeySecretType } from '../../shared/names.ts'
import type { WrittenVersions } from '../written-versions.ts'
import { ensureJobAccount } from '../job-account.ts'
import { poolKeySecretName } from '../pool-keys.ts'
import { childMetadata } from './deployment.ts'
import type { PoolKey } from './names.ts'
import type { PoolAction } from './observed.ts'

export type PoolActParts = {
  readonly client: KubeClient
  readonly events: EventRecorder
  readonly randomBytes: (length: number) => Uint8Array
  readonly written: WrittenVersions
}

const FIELD_MANAGER = 'atelier-controller'
const KEY_BYTES = 32

/** Does one step. Repeating it, or finding it done already, is success. */
export async function act(parts: PoolActParts, pool: ModelPool, action: PoolAction): Promise<void> {
  const { client } = parts
  switch (action.kind) {
    case 'EnsureAccount':
      return await ensureJobAccount(client, pool.metadata.namespace)
    case 'CreateKey':
      return await createKey(parts, pool)
    case 'CreateClaimTemplate':
      return await ignoreExisting(createObject(client, resourceClaimTemplates, action.template))
    case 'DeleteClaimTemplate':
      return await deleteObject(client, resourceClaimTemplates, action.template).catch(
        unlessNotFound,
      )
    case 'SetDeletionCost':
      return await setDeletionCost(client, action)
    case 'ApplyDeployment':
      return await applyDeployment(parts, pool, action)
    case 'Scale':
      return await scale(parts, pool, action)
    case 'RecordEvent':
      return parts.events.record({ kind: modelPools, object: pool, ...action.event })
    case 'WriteStatus': {
      const written = { object: pool, status: action.patch }
      return noteWritten(parts, keyOf(pool), await patchStatus(client, modelPools, written))
    }
    default:
      return unreachable(action)
  }
}

/**
 * Once: what is there is never overwritten, because the pods hold it as well. A policy sees to that
 * for us. `immutable` would not let Nodes notice the key of a pool that was made anew: they keep
 * such a Secret by its name for as long as any pod refers to it.
 */
async function createKey({ client, randomBytes }: PoolActParts, pool: ModelPool): Promise<void> {
  const key = Buffer.from(randomBytes(KEY_BYTES)).toString('base64')
  await ignoreExisting(
    createObject(client, secrets, {
      metadata: { ...childMetadata(pool), name: poolKeySecretName(pool.metadata.name) },
      type: poolKeySecretType,
      data: { key },
    }),
  )
}

async function ignoreExisting(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}

/** With the pod's uid: another pod of the name is not meant. A pod that is gone needs no cost. */
async function setDeletionCost(
  client: KubeClient,
  { pod, cost }: Extract<PoolAction, { kind: 'SetDeletionCost' }>,
): Promise<void> {
  const { name, namespace, uid } = pod
  const patch = { metadata: { uid, annotations: { [annotations.podDeletionCost]: cost } } }
  await mergePatch(client, pods, { name, namespace, patch }).catch(unlessNotFound)
}

/**
 * By server-side apply: fields that are not wanted any more vanish, and those of others stay. By
 * force, because what others change of ours is put back; a Deployment that is not the pool's own
 * was told apart before, and the admission policy refuses it besides.
 */
async function applyDeployment(
  parts: PoolActParts,
  pool: ModelPool,
  { draft }: Extract<PoolAction, { kind: 'ApplyDeployment' }>,
): Promise<void> {
  const applied = { object: draft, fieldManager: FIELD_MANAGER, force: true }
  const after = await applyObject(parts.client, deployments, applied)
  noteWritten(parts, deploymentKey(keyOf(pool)), after)
}

/** With the version that was decided on: a number that somebody else changed is a conflict. */
async function scale(
  parts: PoolActParts,
  pool: ModelPool,
  { deployment, replicas }: Extract<PoolAction, { kind: 'Scale' }>,
): Promise<void> {
  const { name, namespace, uid, resourceVersion } = deployment.metadata
  const patch = { metadata: { uid, resourceVersion }, spec: { replicas } }
  const after = await mergePatch(parts.client, deployments, { name, namespace, patch })
  noteWritten(parts, deploymentKey(keyOf(pool)), after)
}

function noteWritten({ written }: PoolActParts, key: string, after: KubeObject): void {
  written.note(key, after)
}

/** Tells the versions of a pool's Deployment from those of the pool. */
export function deploymentKey(pool: PoolKey): string {
  return `deployment/${pool}`
}
