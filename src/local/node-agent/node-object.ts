import { gpuResource, labels, taints } from '../../shared/names.ts'
import type { Node } from '../../platform/kube/resources.ts'
import type { Draft, JsonOf } from '../../platform/kube/types.ts'
import type { V1NodeStatus } from '@kubernetes/client-node'
import { hostIp } from './pod-status.ts'

/** Nodes of any process node agent carry it: the others are foreign. */
export const processNodeLabel = 'atelier.dev/process-node'

const podsPerNode = 110
const simulatedGpuMemoryMib = 16_384

/** What the agent measures of the machine. Every Node reports all of it: they share it. */
export type Machine = {
  readonly cpus: number
  readonly memoryBytes: number
  readonly architecture: 'amd64' | 'arm64'
  readonly kernelVersion: string
  readonly bootId: string
}

export type NodeShape = {
  readonly name: string
  /** When the agent took the Node up: its conditions hold since then. */
  readonly since: string
  readonly gpus: number
  readonly machine: Machine
}

/** The Node to create: labels as kubelet and GPU feature discovery set them, and the taint. */
export function nodeDraft({ name, gpus, machine }: NodeShape): Draft<Node> {
  const system = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': machine.architecture,
    [processNodeLabel]: 'true',
  }
  const gpuLabels = {
    [labels.simulatedGpu]: 'true',
    'nvidia.com/gpu.present': 'true',
    'nvidia.com/gpu.count': String(gpus),
    'nvidia.com/gpu.product': 'SIMULATED-GPU',
    'nvidia.com/gpu.family': 'simulated',
    'nvidia.com/gpu.memory': String(simulatedGpuMemoryMib),
    'nvidia.com/gpu.replicas': '1',
  }
  return {
    metadata: { name, labels: { ...system, ...(gpus > 0 ? gpuLabels : {}) } },
    spec: { taints: [{ key: taints.processNode, value: 'true', effect: 'NoSchedule' }] },
  }
}

/** The Node's status; `isReady` false while the agent ends, so that nothing new is bound. */
export function nodeStatus(
  { name, gpus, machine, since }: NodeShape,
  { now, isReady }: { readonly now: string; readonly isReady: boolean },
): JsonOf<V1NodeStatus> {
  const amounts = {
    cpu: String(machine.cpus),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: String(podsPerNode),
    [gpuResource]: String(gpus),
  }
  const condition = (type: string, status: boolean, reason: string) => ({
    type,
    status: status ? 'True' : 'False',
    reason,
    message: `reported by the process node agent`,
    lastHeartbeatTime: now,
    lastTransitionTime: isReady ? since : now,
  })
  return {
    capacity: amounts,
    allocatable: amounts,
    addresses: [
      { type: 'InternalIP', address: hostIp },
      { type: 'Hostname', address: name },
    ],
    conditions: [
      condition('Ready', isReady, isReady ? 'AgentReady' : 'AgentStopped'),
      condition('MemoryPressure', false, 'NotMeasured'),
      condition('DiskPressure', false, 'NotMeasured'),
      condition('PIDPressure', false, 'NotMeasured'),
      condition('NetworkUnavailable', false, 'Loopback'),
    ],
    nodeInfo: {
      architecture: machine.architecture,
      bootID: machine.bootId,
      containerRuntimeVersion: 'process://0.1.0',
      kernelVersion: machine.kernelVersion,
      kubeProxyVersion: '',
      kubeletVersion: 'v0.1.0-process-node-agent',
      machineID: machine.bootId,
      operatingSystem: 'linux',
      osImage: 'host processes (development)',
      systemUUID: machine.bootId,
    },
  }
}
