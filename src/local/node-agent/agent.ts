import { join, resolve } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { type KubeClient, scopedClient } from '../../platform/kube/client.ts'
import { startListWatch } from '../../platform/kube/list-watch.ts'
import type { Logger } from '../../platform/log/logger.ts'
import type { Clock } from '../../shared/clock.ts'
import type { ImageMap } from './image-map.ts'
import { type LogServerOptions, startLogServer } from './log-server.ts'
import {
  type NodePlan,
  keepNode,
  refuseForeignNodes,
  registerNode,
  writeNodeStatus,
} from './nodes.ts'
import { PodKeeper } from './pod-keeper.ts'
import { pods } from './pod.ts'
import { type RestartBackoff, kubeletBackoff } from './restart-policy.ts'

export type NodeAgentOptions = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly imageMap: ImageMap
  /** Where statuses, volumes and logs of pods lie. One agent at a time uses it. */
  readonly folder: string
  /** Nodes are called `<prefix>-1`, `<prefix>-2` … */
  readonly nodePrefix: string
  readonly nodeCount: number
  readonly gpusPerNode: number
  readonly allowForeignNodes: boolean
  /** Certificate, key and authority of the kubelet's port; without it no logs are served. */
  readonly kubeletFolder?: string | undefined
  /** Only tests change them. */
  readonly backoff?: RestartBackoff
  readonly tokenRenewalShare?: number
}

export type NodeAgent = {
  /** Ends every process within a grace, reports the pods and marks the Nodes as not ready. */
  readonly stop: () => Promise<void>
}

/** An orderly end takes so long at most, whatever the pods' own grace is. */
const stopGraceMs = 8_000
const stopLimitMs = 12_000

/** Registers the Nodes and runs their pods. Throws `platform.misconfigured` when it may not. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const { clock, random, log, imageMap } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const client = scopedClient(options.client, { signal })
  const onError = (error: unknown, pod?: string) => log.warn({ pod, err: error }, 'try again later')
  if (!options.allowForeignNodes) await refuseForeignNodes(client)
  const names = Array.from({ length: options.nodeCount }, (_, index) => {
    return `${options.nodePrefix}-${index + 1}`
  })
  // Processes get paths in it and start in folders of their own.
  const podsFolder = join(resolve(options.folder), 'pods')
  let isAdopted = false
  const watch = startListWatch({
    client,
    kind: pods,
    clock,
    random,
    signal,
    onError,
    // All that are bound; the few that other Nodes have are left alone.
    fieldSelector: 'spec.nodeName!=',
    // Before the adoption nothing may start; it looks at everything that is known by then.
    onChange: (key) => isAdopted && keeper.observe(key),
  })
  const isOurs = (pod: { spec: { nodeName?: string } }) => names.includes(pod.spec.nodeName ?? '')
  const find = (key: string) =>
    [watch.lister.get(key)].find((pod) => pod !== undefined && isOurs(pod))
  const logs = { podsFolder, find, onError, signal }
  const nodes = await openNodes({ ...options, client }, names, logs).catch((error: unknown) => {
    stopping.abort()
    throw error
  })
  const keeper = new PodKeeper({
    client,
    clock,
    random,
    imageMap,
    onError,
    podsFolder,
    backoff: options.backoff ?? kubeletBackoff,
    tokenRenewalShare: options.tokenRenewalShare ?? 0.8,
    find,
  })
  await watch.synced()
  isAdopted = true
  keeper.adopt(watch.lister.list().filter(isOurs))
  for (const [index, node] of nodes.entries()) {
    keepNode(node, { signal, onError, phase: (index + 1) / nodes.length }).catch(onError)
  }
  log.info({ nodes: names }, 'the process node agent runs: a development tool with simulated GPUs')
  const stop = async () => {
    // Not ready first, so that the replacements of the ended pods are bound elsewhere or wait.
    const writes = nodes.map((node) => writeNodeStatus(node, { isReady: false }))
    const failure = { reason: 'Terminated', message: 'the process node agent was stopped' }
    const all = Promise.allSettled([...writes, keeper.leave({ graceMs: stopGraceMs, failure })])
    await Promise.race([all, sleep(stopLimitMs, signal)])
    stopping.abort()
    await Promise.all([keeper.stop(), watch.stop()])
  }
  return { stop }
}

/** Serves the Nodes' logs, where there is a kubelet's certificate, and registers the Nodes. */
async function openNodes(
  { client, clock, imageMap, gpusPerNode: gpus, kubeletFolder }: NodeAgentOptions,
  names: readonly string[],
  logs: Omit<LogServerOptions, 'kubeletFolder'>,
): Promise<readonly NodePlan[]> {
  const isServed = kubeletFolder !== undefined
  const kubeletPort = isServed ? await startLogServer({ ...logs, kubeletFolder }) : 0
  const isSimulating = [...imageMap.values()].some(({ simulate }) => simulate !== undefined)
  const nodes = names.map((name) => ({ client, clock, name, gpus, isSimulating, kubeletPort }))
  for (const node of nodes) await registerNode(node)
  return nodes
}
