import type { KubeClient } from '../../platform/kube/client.ts'
import { unlessNotFound } from '../../platform/kube/errors.ts'
import { listObjects } from '../../platform/kube/objects.ts'
import { type Deployment, type Pod, resourceClaimTemplates } from '../../platform/kube/resources.ts'
import type { KubeObject } from '../../platform/kube/types.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { annotations, labels } from '../../shared/names.ts'
import { isOwn } from './children.ts'
import type { PoolKey } from './names.ts'
import type { UnusedTemplate } from './observed.ts'

export type TemplateQuestion = {
  readonly key: PoolKey
  readonly pool: ModelPool
  readonly deployment: Deployment
  readonly pods: readonly Pod[]
}

/**
 * Which templates of pools nobody uses any more. They are not watched, so the API server is asked:
 * once for each shape of a pool's pods and for each change of what the pods refer to.
 */
export class ClaimTemplates {
  readonly #client: KubeClient
  /** What was looked at the last time, by pool. */
  readonly #seen = new Map<PoolKey, string>()

  constructor(client: KubeClient) {
    this.#client = client
  }

  /** Nothing while pods of an older shape may still be made. */
  async unused(question: TemplateQuestion): Promise<readonly UnusedTemplate[]> {
    const { key, pool, deployment, pods } = question
    if (!isRolledOut(deployment)) return []
    const used = new Set([...pods.flatMap(({ spec }) => namesIn(spec)), ...wantedBy(deployment)])
    const seen = seenNow(deployment, used)
    if (this.#seen.get(key) === seen) return []
    const all = await listOwn(this.#client, pool)
    const unused = all.filter(({ metadata }) => !used.has(metadata.name))
    // Those that are found are looked for again, until they are gone.
    if (unused.length === 0) this.#seen.set(key, seen)
    return unused.map(({ metadata: { name, namespace = '', uid } }) => ({ name, namespace, uid }))
  }

  forget(key: PoolKey): void {
    this.#seen.delete(key)
  }
}

/** Every pod that there is was made by the template that the Deployment has now. */
function isRolledOut({ metadata, status }: Deployment): boolean {
  const { observedGeneration, replicas = 0, updatedReplicas = 0 } = status ?? {}
  return observedGeneration === metadata.generation && updatedReplicas === replicas
}

type Claiming = {
  readonly resourceClaims?: readonly { readonly resourceClaimTemplateName?: string }[]
}

function namesIn(spec: Claiming | undefined): string[] {
  return (spec?.resourceClaims ?? []).flatMap(({ resourceClaimTemplateName: name }) => name ?? [])
}

function wantedBy({ spec }: Deployment): string[] {
  return namesIn(spec?.template.spec)
}

function seenNow({ metadata }: Deployment, used: ReadonlySet<string>): string {
  const { uid, annotations: own } = metadata
  return [uid, own?.[annotations.shape], ...[...used].toSorted()].join(' ')
}

async function listOwn(client: KubeClient, pool: ModelPool): Promise<readonly KubeObject[]> {
  const { namespace, name } = pool.metadata
  const labelSelector = `${labels.pool}=${name}`
  const listing = listObjects(client, resourceClaimTemplates, { namespace, labelSelector })
  // A cluster without dynamic resource allocation has none.
  const all = (await listing.catch(unlessNotFound)) ?? []
  return all.filter((template) => isOwn(template, pool))
}
