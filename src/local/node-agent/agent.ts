import { dirname, join, resolve } from 'node:path'
import type { KubeClient } from '../../platform/kube/client.ts'
import { type ListWatch, startListWatch } from '../../platform/kube/list-watch.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import type { Logger } from '../../platform/log/logger.ts'
import type { Clock } from '../../shared/clock.ts'
import { lockFolder } from './agent-lock.ts'
import type { ImageMap } from './image-map.ts'
import {
  type NodeOptions,
  keepNode,
  measureMachine,
  refuseForeignNodes,
  registerNode,
  writeNodeStatus,
} from './nodes.ts'
import { PodKeeper } from './pod-keeper.ts'
import type { WorkerContext } from './pod-worker.ts'
import { type Pod, pods } from './pod.ts'
import { kubeletBackoff } from './restart-policy.ts'

export type NodeAgentOptions = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly imageMap: ImageMap
  /** Where records, volumes and logs of pods lie. One agent at a time uses it. */
  readonly folder: string
  /** Nodes are called `<prefix>-1`, `<prefix>-2` … */
  readonly nodePrefix: string
  readonly nodeCount: number
  readonly gpusPerNode: number
  readonly allowForeignNodes: boolean
  readonly onFatal: (error: unknown) => void
  /** Only tests change them. */
  readonly timing?: Partial<Pick<WorkerContext, 'backoff' | 'tokenRenewalShare'>> | undefined
}

export type NodeAgent = {
  readonly isReady: () => boolean
  /** Ends every process within a grace, reports the pods and marks the Nodes as not ready. */
  readonly stop: () => Promise<void>
}

/** An orderly end takes so long at most, whatever the pods' own grace is. */
const stopGraceMs = 8_000
const stopLimitMs = 12_000

/** Registers the Nodes and runs their pods. Throws `platform.misconfigured` when it may not. */
export async function startNodeAgent(options: NodeAgentOptions): Promise<NodeAgent> {
  const unlock = lockFolder(options.folder)
  const stopping = new AbortController()
  try {
    if (!options.allowForeignNodes) await refuseForeignNodes(options.client)
    return await startLocked(options, { stopping, unlock })
  } catch (error) {
    stopping.abort()
    unlock()
    throw error
  }
}

type Ownership = { readonly stopping: AbortController; readonly unlock: () => void }

async function startLocked(
  options: NodeAgentOptions,
  { stopping, unlock }: Ownership,
): Promise<NodeAgent> {
  const { client, clock, random, log, onFatal } = options
  const { signal } = stopping
  const nodes = nodeOptions(options)
  const watches: ListWatch<Pod>[] = []
  const onError = (error: unknown) => log.warn({ err: error }, 'the API server does not answer')
  const keeper = new PodKeeper({
    context: workerContext(options),
    find: (key) => findPod(watches, key),
    random,
    onError: (error, pod) => log.warn({ pod, err: error }, 'a pod could not be handled'),
    onFatal,
  })
  for (const node of nodes) await registerNode(node)
  let isAdopted = false
  for (const { shape } of nodes) {
    const fieldSelector = `spec.nodeName=${shape.name}`
    // Before the adoption nothing may start; it looks at everything that is known by then.
    const onChange = (key: string) => isAdopted && keeper.observe(key)
    const kind = pods
    watches.push(
      startListWatch({ client, kind, fieldSelector, onChange, onError, clock, random, signal }),
    )
  }
  await Promise.all(watches.map((watch) => watch.synced()))
  isAdopted = true
  keeper.adopt(watches.flatMap((watch) => watch.lister.list()))
  for (const node of nodes) keepNode(node, { signal, onError }).catch(onFatal)
  const names = nodes.map((node) => node.shape.name)
  log.info({ nodes: names }, 'the process node agent runs: a development tool with simulated GPUs')
  return {
    isReady: () => !signal.aborted,
    stop: async () => {
      await stopAgent({ options, keeper, nodes })
      stopping.abort()
      await Promise.all(watches.map((watch) => watch.stop()))
      unlock()
    },
  }
}

type Running = {
  readonly options: NodeAgentOptions
  readonly keeper: PodKeeper
  readonly nodes: readonly NodeOptions[]
}

/** Not ready first, so that the replacements of the ended pods are bound elsewhere or wait. */
async function stopAgent({ options, keeper, nodes }: Running): Promise<void> {
  const writes = nodes.map((node) => writeNodeStatus(node, { isReady: false }))
  const failure = { reason: 'Terminated', message: 'the process node agent was stopped' }
  const leaving = keeper.leave({ graceMs: stopGraceMs, limitMs: stopLimitMs, failure })
  for (const result of await Promise.allSettled([...writes, leaving])) {
    if (result.status === 'rejected') {
      options.log.warn({ err: result.reason }, 'the end of the node agent is not complete')
    }
  }
}

function findPod(watches: readonly ListWatch<Pod>[], key: string): Pod | undefined {
  for (const { lister } of watches) {
    const pod = lister.get(key)
    if (pod !== undefined) return pod
  }
  return undefined
}

function nodeOptions(options: NodeAgentOptions): readonly NodeOptions[] {
  const { client, clock, nodePrefix, nodeCount, gpusPerNode: gpus } = options
  const machine = measureMachine()
  const since = new Date(clock.nowMs()).toISOString()
  return Array.from({ length: nodeCount }, (_, index) => {
    const shape = { name: `${nodePrefix}-${index + 1}`, gpus, machine, since }
    return { client, clock, shape }
  })
}

function workerContext(options: NodeAgentOptions): WorkerContext {
  const { client, clock, imageMap, folder, log, timing } = options
  return {
    client,
    clock,
    imageMap,
    // Processes get paths in it and start in folders of their own.
    podsFolder: join(resolve(folder), 'pods'),
    nodeFolder: dirname(process.execPath),
    backoff: kubeletBackoff,
    tokenRenewalShare: 0.8,
    warn: (pod, message) => log.warn({ pod: keyOf(pod), message }, 'a pod needs attention'),
    ...timing,
  }
}
