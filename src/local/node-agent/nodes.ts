import { readFileSync } from 'node:fs'
import { arch, availableParallelism, release, totalmem } from 'node:os'
import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import { isAlreadyExists, isNotFound } from '../../platform/kube/errors.ts'
import {
  applyObject,
  createObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../platform/kube/objects.ts'
import { type Node, leases, nodes, pathOf } from '../../platform/kube/resources.ts'
import type { Draft } from '../../platform/kube/types.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { gpuResource, labels, taints } from '../../shared/names.ts'
import { hostIp } from './pod-status.ts'
import { simulatedPodsLabel } from './simulation/simulation.ts'

/** Nodes of any process node agent carry it: the others are foreign. */
const processNodeLabel = 'atelier.dev/process-node'
const leaseNamespace = 'kube-node-lease'
const leaseSeconds = 40
const leaseRenewalMs = 10_000
/** With leases the status itself may be old; it is refreshed all the same. */
const statusEveryRenewals = 30
const podsPerNode = 110
const architecture = arch() === 'x64' ? 'amd64' : arch()
const simulatedGpuMemoryMib = 16_384

export type NodePlan = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly name: string
  readonly gpus: number
  /** Some of its pods may be simulated. */
  readonly isSimulating?: boolean
  /** Where logs are asked for; 0: nowhere. */
  readonly kubeletPort: number
}

/** Throws `platform.misconfigured` in a cluster that has Nodes of another kind than ours. */
export async function refuseForeignNodes(client: KubeClient): Promise<void> {
  const foreign = await listObjects(client, nodes, { labelSelector: `!${processNodeLabel}` })
  if (foreign.length === 0) return
  const names = foreign.slice(0, 3).map((node) => node.metadata.name)
  throw new AppError(
    'platform.misconfigured',
    `the cluster has Nodes of its own (${names.join(', ')}): the process node agent is a ` +
      'development tool and does not mix with them unless ATELIER_NODE_ALLOW_FOREIGN=true',
  )
}

/** Creates the Node with its lease, or takes over an earlier start's, and reports it ready. */
export async function registerNode(plan: NodePlan): Promise<void> {
  const { client, name } = plan
  const draft = nodeDraft(plan)
  const node = await createObject(client, nodes, draft).catch(async (error: unknown) => {
    if (!isAlreadyExists(error)) throw error
    return await getObject(client, nodes, { name })
  })
  if (node.metadata.labels?.[processNodeLabel] === undefined) {
    throw new AppError('platform.misconfigured', `Node ${name} belongs to somebody else`)
  }
  const { uid } = node.metadata
  await mergePatch(client, nodes, { name, patch: { metadata: { labels: draft.metadata.labels } } })
  await writeNodeStatus(plan, { isReady: true })
  // A deleted Node takes its lease along.
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }]
  const metadata = { name, namespace: leaseNamespace, ownerReferences }
  const lease = { metadata, spec: leaseSpec(plan) }
  await applyObject(client, leases, { object: lease, fieldManager: 'process-node', force: true })
}

type Keeping = {
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
  /** Share of the first pause that is waited: hundreds of Nodes are not to renew at once. */
  readonly phase: number
}

/** Renews the Node's lease until the signal fires. */
export async function keepNode(plan: NodePlan, { signal, onError, phase }: Keeping) {
  for (let renewals = 1; ; renewals += 1) {
    await sleep(renewals === 1 ? leaseRenewalMs * phase : leaseRenewalMs, signal)
    if (signal.aborted) return
    try {
      await renewLease(plan)
      if (renewals % statusEveryRenewals === 0) await writeNodeStatus(plan, { isReady: true })
    } catch (error) {
      onError(error)
    }
  }
}

async function renewLease(plan: NodePlan): Promise<void> {
  const { client, name } = plan
  const lease = { name, namespace: leaseNamespace, patch: { spec: leaseSpec(plan) } }
  try {
    await mergePatch(client, leases, lease)
  } catch (error) {
    if (!isNotFound(error)) throw error
    await registerNode(plan)
  }
}

function leaseSpec({ clock, name }: NodePlan) {
  const renewTime = new Date(clock.nowMs()).toISOString().replace('Z', '000Z')
  return { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime }
}

/** Labels as kubelet and GPU feature discovery set them, and the taint. */
export function nodeDraft(plan: Pick<NodePlan, 'name' | 'gpus' | 'isSimulating'>): Draft<Node> {
  const { name, gpus, isSimulating = false } = plan
  const gpuLabels = {
    [labels.simulatedGpu]: 'true',
    'nvidia.com/gpu.present': 'true',
    'nvidia.com/gpu.count': String(gpus),
    'nvidia.com/gpu.product': 'SIMULATED-GPU',
    'nvidia.com/gpu.memory': String(simulatedGpuMemoryMib),
  }
  const nodeLabels = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architecture,
    [processNodeLabel]: 'true',
    ...(gpus > 0 ? gpuLabels : {}),
    ...(isSimulating ? { [simulatedPodsLabel]: 'true' } : {}),
  }
  return {
    metadata: { name, labels: nodeLabels },
    spec: { taints: [{ key: taints.processNode, value: 'true', effect: 'NoSchedule' }] },
  }
}

/** Not ready while the agent ends, so that nothing new is bound. Amounts are the whole machine's. */
export async function writeNodeStatus(
  plan: NodePlan,
  { isReady }: { readonly isReady: boolean },
): Promise<void> {
  const { client, name, gpus } = plan
  const memory = `${Math.floor(totalmem() / 1024)}Ki`
  const cpu = String(availableParallelism())
  const amounts = { cpu, memory, pods: String(podsPerNode), [gpuResource]: String(gpus) }
  const addresses = [
    { type: 'InternalIP', address: hostIp },
    { type: 'Hostname', address: name },
  ]
  const ready = {
    type: 'Ready',
    status: isReady ? 'True' : 'False',
    reason: isReady ? 'AgentReady' : 'AgentStopped',
    lastHeartbeatTime: new Date(plan.clock.nowMs()).toISOString(),
  }
  const status = {
    capacity: amounts,
    allocatable: amounts,
    addresses,
    daemonEndpoints: { kubeletEndpoint: { Port: plan.kubeletPort } },
    conditions: [ready],
    nodeInfo: nodeInfo(),
  }
  await client.request({
    method: 'PATCH',
    path: pathOf(nodes, { name, subresource: 'status' }),
    contentType: 'application/strategic-merge-patch+json',
    body: { status },
  })
}

function nodeInfo() {
  const bootID = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return {
    bootID,
    machineID: bootID,
    systemUUID: bootID,
    architecture,
    operatingSystem: 'linux',
    osImage: 'host processes (development)',
    kernelVersion: release(),
    containerRuntimeVersion: 'process://0.1.0',
    kubeletVersion: 'v0.1.0-process-node-agent',
    kubeProxyVersion: '',
  }
}
