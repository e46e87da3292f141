import type {
  V1Container,
  V1PodSpec,
  V1Pod,
  V1PodStatus,
  V1Probe,
  V1Volume,
} from '@kubernetes/client-node'
import type { ResourceKind } from '../../platform/kube/resources.ts'
import type { JsonOf, Live, ObjectMetadata } from '../../platform/kube/types.ts'

/** A pod as it is bound to a Node: what the API server always sets is required here. */
export type Pod = Omit<Live<V1Pod>, 'metadata' | 'spec'> & {
  readonly metadata: ObjectMetadata & {
    readonly namespace: string
    readonly deletionGracePeriodSeconds?: number
  }
  readonly spec: JsonOf<V1PodSpec>
}
export type Container = JsonOf<V1Container>
export type PodStatus = JsonOf<V1PodStatus>
export type Probe = JsonOf<V1Probe>
export type Volume = JsonOf<V1Volume>

export const pods: ResourceKind<Pod> = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
}

export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}

export function initContainersOf(pod: Pod): readonly Container[] {
  return pod.spec.initContainers ?? []
}

export function allContainers(pod: Pod): readonly Container[] {
  return [...initContainersOf(pod), ...pod.spec.containers]
}
