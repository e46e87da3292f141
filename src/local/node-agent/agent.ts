import { join, resolve } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { type KubeClient, scopedClient } from '../../platform/kube/client.ts'
import { startListWatch } from '../../platform/kube/list-watch.ts'
import type { Logger } from '../../platform/log/logger.ts'
import type { Clock } from '../../shared/clock.ts'
import type { ImageMap } from './image-map.ts'
import { keepNode, refuseForeignNodes, registerNode, writeNodeStatus } from './nodes.ts'
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
  const nodes = Array.from({ length: options.nodeCount }, (_, index) => {
    const name = `${options.nodePrefix}-${index + 1}`
    return { client, clock, name, gpus: options.gpusPerNode }
  })
  for (const node of nodes) await registerNode(node)
  const names = nodes.map((node) => node.name)
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
  const keeper = new PodKeeper({
    client,
    clock,
    random,
    imageMap,
    onError,
    // Processes get paths in it and start in folders of their own.
    podsFolder: join(resolve(options.folder), 'pods'),
    backoff: options.backoff ?? kubeletBackoff,
    tokenRenewalShare: options.tokenRenewalShare ?? 0.8,
    find: (key) => [watch.lister.get(key)].find((pod) => pod !== undefined && isOurs(pod)),
  })
  await watch.synced()
  isAdopted = true
  keeper.adopt(watch.lister.list().filter(isOurs))
  for (const node of nodes) keepNode(node, { signal, onError }).catch(onError)
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
