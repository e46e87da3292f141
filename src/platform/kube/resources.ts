import type {
  CoreV1Event,
  V1ConfigMap,
  V1Deployment,
  V1Job,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1ResourceClaimTemplate,
  V1Secret,
  V1ServiceAccount,
} from '@kubernetes/client-node'
import { assert } from '../../shared/assert.ts'
import type { Department } from '../../shared/crd/department.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import type { Model } from '../../shared/crd/model.ts'
import { apiGroup, apiVersion } from '../../shared/names.ts'
import type { KubeObject, Live, ObjectRef } from './types.ts'

/** How one kind is addressed. `T` is the type of its objects. */
export type ResourceKind<T extends KubeObject> = {
  /** Empty for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
  /** Never set: it only carries the object type. */
  readonly type?: T
}

export type Pod = Live<V1Pod>
export type Job = Live<V1Job>
export type Deployment = Live<V1Deployment>
export type ResourceClaimTemplate = Live<V1ResourceClaimTemplate>
export type Node = Live<V1Node>
export type Namespace = Live<V1Namespace>
export type ServiceAccount = Live<V1ServiceAccount>
export type Secret = Live<V1Secret>
export type ConfigMap = Live<V1ConfigMap>
export type Event = Live<CoreV1Event>
export type Lease = Live<V1Lease>

function ours(kind: string, plural: string, namespaced: boolean) {
  return { group: apiGroup, version: apiVersion, plural, kind, namespaced }
}

function core(kind: string, plural: string, namespaced = true) {
  return { group: '', version: 'v1', plural, kind, namespaced }
}

export const generationJobs: ResourceKind<GenerationJob> = ours(
  'GenerationJob',
  'generationjobs',
  true,
)
export const models: ResourceKind<Model> = ours('Model', 'models', false)
export const departments: ResourceKind<Department> = ours('Department', 'departments', false)
export const modelPools: ResourceKind<ModelPool> = ours('ModelPool', 'modelpools', true)

export const pods: ResourceKind<Pod> = core('Pod', 'pods')
export const secrets: ResourceKind<Secret> = core('Secret', 'secrets')
export const configMaps: ResourceKind<ConfigMap> = core('ConfigMap', 'configmaps')
export const serviceAccounts: ResourceKind<ServiceAccount> = core(
  'ServiceAccount',
  'serviceaccounts',
)
export const events: ResourceKind<Event> = core('Event', 'events')
export const nodes: ResourceKind<Node> = core('Node', 'nodes', false)
export const namespaces: ResourceKind<Namespace> = core('Namespace', 'namespaces', false)

export const jobs: ResourceKind<Job> = {
  group: 'batch',
  version: 'v1',
  plural: 'jobs',
  kind: 'Job',
  namespaced: true,
}
export const deployments: ResourceKind<Deployment> = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
}
export const resourceClaimTemplates: ResourceKind<ResourceClaimTemplate> = {
  group: 'resource.k8s.io',
  version: 'v1',
  plural: 'resourceclaimtemplates',
  kind: 'ResourceClaimTemplate',
  namespaced: true,
}
export const leases: ResourceKind<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
}

export type AnyKind = Omit<ResourceKind<KubeObject>, 'type'>

export function apiVersionOf(kind: AnyKind): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`
}

export type PathOptions = {
  readonly namespace?: string | undefined
  readonly name?: string | undefined
  readonly subresource?: string | undefined
}

/** URL path of a collection or object; a namespaced kind without a namespace means all of them. */
export function pathOf(kind: AnyKind, options: PathOptions = {}): string {
  const addressed = !kind.namespaced || options.namespace !== undefined
  assert(addressed || options.name === undefined, `one of ${kind.plural} needs a namespace`)
  const root = kind.group === '' ? '/api/' : '/apis/'
  const segments = [root + apiVersionOf(kind)]
  if (kind.namespaced && options.namespace !== undefined) {
    segments.push('namespaces', encodeURIComponent(options.namespace))
  }
  segments.push(kind.plural)
  if (options.name !== undefined) segments.push(encodeURIComponent(options.name))
  if (options.subresource !== undefined) segments.push(options.subresource)
  return segments.join('/')
}

/** `namespace/name`, or `name` for cluster-scoped kinds: the key of caches and queues. */
export function keyOf(object: { readonly metadata: ObjectRef }): string {
  const { namespace, name } = object.metadata
  return namespace === undefined ? name : `${namespace}/${name}`
}

export function refOf(key: string): ObjectRef {
  const [first = '', second] = key.split('/')
  return second === undefined ? { name: first } : { namespace: first, name: second }
}
