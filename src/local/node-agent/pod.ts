import type { V1Pod, V1PodSpec } from '@kubernetes/client-node'
import { type AnyKind, type ResourceKind, pods as anyPods } from '../../platform/kube/resources.ts'
import type { JsonOf, Live, ObjectMetadata } from '../../platform/kube/types.ts'

/** A pod as it is bound to a Node: what the API server always sets is required here. */
export type Pod = Omit<Live<V1Pod>, 'metadata' | 'spec'> & {
  readonly metadata: ObjectMetadata & {
    readonly namespace: string
    readonly deletionGracePeriodSeconds?: number
  }
  readonly spec: JsonOf<V1PodSpec>
}
export type Container = Pod['spec']['containers'][number]
export type Volume = NonNullable<Pod['spec']['volumes']>[number]
export type Probe = NonNullable<Container['livenessProbe']>
export type PodStatus = NonNullable<Pod['status']>

const untyped: AnyKind = anyPods
export const pods: ResourceKind<Pod> = untyped

const refused = /^(activeDeadlineSeconds|hostNetwork|hostPID|hostIPC|envFrom)$/
const refusedBelow = /^(lifecycle|startupProbe|grpc|tcpSocket|subPathExpr)$/
const volumeKinds =
  /^(name|emptyDir|secret|configMap|downwardAPI|projected|serviceAccountToken|persistentVolumeClaim|image)$/

/**
 * What a process node does not do, of what this pod asks for. Such a pod fails at once: one that
 * ran with half of its specification would be worse. Security contexts are not looked at.
 */
export function refusalsOf({ spec }: Pod): readonly string[] {
  const { volumes = [] } = spec
  const containers = allContainers(spec)
  const probes = containers.flatMap((each) => [each.livenessProbe, each.readinessProbe])
  const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts)
  const asked = [spec, ...containers, ...probes, ...mounts].flatMap((each) => fieldsOf(each))
  const sources = volumes.flatMap((volume) => [volume, ...(volume.projected?.sources ?? [])])
  const isSecure = probes.some((probe) => probe?.httpGet?.scheme === 'HTTPS')
  const isSidecar = (spec.initContainers ?? []).some(({ restartPolicy }) => restartPolicy)
  return [
    ...(isSidecar ? ['init containers that go on running'] : []),
    ...asked.filter((field) => refused.test(field) || refusedBelow.test(field)),
    ...sources.flatMap((each) => fieldsOf(each)).filter((kind) => !volumeKinds.test(kind)),
    ...(isSecure ? ['an HTTPS probe'] : []),
  ]
}

/** Those that run before the others come first, in their order. */
export function allContainers({ initContainers = [], containers }: Pod['spec']) {
  return [...initContainers, ...containers]
}

function fieldsOf(value: object = {}): readonly string[] {
  return Object.keys(value)
}
