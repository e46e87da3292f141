import { type Container, type Pod, type Volume, allContainers, initContainersOf } from './pod.ts'

export const refusalReason = 'UnsupportedByProcessNode'

type Points = Readonly<Record<string, boolean>>

const projectedKinds = ['serviceAccountToken', 'secret', 'configMap', 'downwardAPI']
const volumeKinds = ['emptyDir', 'secret', 'configMap', 'downwardAPI', 'projected']

/**
 * What a process cannot honour of a pod. Such a pod fails at once with every point named, for a
 * pod that runs with half of its specification would be worse.
 * Security contexts other than `privileged` are not enforced: processes run as the agent's user.
 */
export function refusalsOf(pod: Pod): readonly string[] {
  const { spec } = pod
  const points: Points = {
    hostNetwork: spec.hostNetwork === true,
    hostPID: spec.hostPID === true,
    hostIPC: spec.hostIPC === true,
    shareProcessNamespace: spec.shareProcessNamespace === true,
    resourceClaims: (spec.resourceClaims ?? []).length > 0,
    'a restartable init container': initContainersOf(pod).some((each) => each.restartPolicy),
  }
  return [
    ...present(points),
    ...allContainers(pod).flatMap(containerRefusals),
    ...(spec.volumes ?? []).flatMap(volumeRefusals),
  ]
}

function containerRefusals(container: Container): readonly string[] {
  const { startupProbe, readinessProbe, livenessProbe } = container
  const probes = [startupProbe, readinessProbe, livenessProbe]
  const { env = [], volumeMounts = [], volumeDevices = [] } = container
  const points: Points = {
    privileged: container.securityContext?.privileged === true,
    lifecycle: container.lifecycle !== undefined,
    'a gRPC or TCP probe': probes.some((probe) => probe?.grpc ?? probe?.tcpSocket),
    'an HTTPS probe': probes.some((probe) => probe?.httpGet?.scheme === 'HTTPS'),
    volumeDevices: volumeDevices.length > 0,
    subPathExpr: volumeMounts.some((mount) => mount.subPathExpr !== undefined),
    resourceFieldRef: env.some(({ valueFrom }) => valueFrom?.resourceFieldRef),
  }
  return present(points).map((point) => `${point} of container ${container.name}`)
}

function volumeRefusals({ name, ...sources }: Volume): readonly string[] {
  const { downwardAPI, projected } = sources
  const items = [downwardAPI, ...(projected?.sources ?? []).map((source) => source.downwardAPI)]
  const kinds = [
    ...Object.keys(sources).filter((kind) => !volumeKinds.includes(kind)),
    ...(projected?.sources ?? []).flatMap(Object.keys).filter((k) => !projectedKinds.includes(k)),
    ...present({
      resourceFieldRef: items.some((each) => each?.items?.some((item) => item.resourceFieldRef)),
    }),
  ]
  return kinds.map((kind) => `${kind} of volume ${name}`)
}

function present(points: Points): readonly string[] {
  return Object.keys(points).filter((point) => points[point] === true)
}
