import type { ResourceKind } from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import { kueueGroup } from '../../../src/controller/kueue/names.ts'
import { type Workload, workloadsOf } from '../../../src/controller/kueue/workload.ts'

type Queue = KubeObject & { readonly spec: object }

export const kueueVersion = 'v1beta2'
export const workloads: ResourceKind<Workload> = workloadsOf(kueueVersion)
export const localQueues: ResourceKind<Queue> = kueueKind('LocalQueue', 'localqueues', true)
export const clusterQueues: ResourceKind<Queue> = kueueKind('ClusterQueue', 'clusterqueues', false)
export const resourceFlavors: ResourceKind<Queue> = kueueKind(
  'ResourceFlavor',
  'resourceflavors',
  false,
)
export const kueueKinds: readonly ResourceKind<KubeObject>[] = [
  workloads,
  localQueues,
  clusterQueues,
  resourceFlavors,
]

export const definitions: ResourceKind<KubeObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
}
export const services: ResourceKind<KubeObject & { readonly spec: object }> = {
  group: '',
  version: 'v1',
  plural: 'services',
  kind: 'Service',
  namespaced: true,
}
export const mutatingWebhooks = webhookKind('Mutating')
export const validatingWebhooks = webhookKind('Validating')

function kueueKind(kind: string, plural: string, namespaced: boolean) {
  return { group: kueueGroup, version: kueueVersion, kind, plural, namespaced }
}

function webhookKind(name: 'Mutating' | 'Validating'): ResourceKind<KubeObject> {
  return {
    group: 'admissionregistration.k8s.io',
    version: 'v1',
    plural: `${name.toLowerCase()}webhookconfigurations`,
    kind: `${name}WebhookConfiguration`,
    namespaced: false,
  }
}
