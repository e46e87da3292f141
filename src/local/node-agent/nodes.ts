import { readFileSync } from 'node:fs'
import { arch, availableParallelism, release, totalmem } from 'node:os'
import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import { isAlreadyExists, isNotFound } from '../../platform/kube/errors.ts'
import { createObject, getObject, listObjects, mergePatch } from '../../platform/kube/objects.ts'
import { leases, nodes, pathOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import {
  type Machine,
  type NodeShape,
  nodeDraft,
  nodeStatus,
  processNodeLabel,
} from './node-object.ts'

const leaseNamespace = 'kube-node-lease'
const leaseSeconds = 40
const leaseRenewalMs = 10_000
/** With leases the status itself may be old; it is refreshed all the same. */
const statusEveryRenewals = 30

export type NodeOptions = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly shape: NodeShape
}

export function measureMachine(): Machine {
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    architecture: arch() === 'arm64' ? 'arm64' : 'amd64',
    kernelVersion: release(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  }
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

/** Creates the Node, or takes over the one of an earlier start, and reports it ready. */
export async function registerNode(options: NodeOptions): Promise<void> {
  const { client, shape } = options
  const draft = nodeDraft(shape)
  try {
    await createObject(client, nodes, draft)
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
    const node = await getObject(client, nodes, { name: shape.name })
    if (node.metadata.labels?.[processNodeLabel] === undefined) {
      throw new AppError('platform.misconfigured', `Node ${shape.name} belongs to somebody else`)
    }
    const patch = { metadata: { labels: draft.metadata.labels } }
    await mergePatch(client, nodes, { name: shape.name, patch })
  }
  await writeNodeStatus(options, { isReady: true })
  await renewLease(options)
}

/** Renews the lease until the signal fires; registers again a Node that somebody deleted. */
export async function keepNode(
  options: NodeOptions,
  { signal, onError }: { readonly signal: AbortSignal; readonly onError: (e: unknown) => void },
): Promise<void> {
  for (let renewals = 1; ; renewals += 1) {
    await sleep(leaseRenewalMs, signal)
    if (signal.aborted) return
    try {
      await renewLease(options)
      if (renewals % statusEveryRenewals === 0) await writeNodeStatus(options, { isReady: true })
    } catch (error) {
      onError(error)
    }
  }
}

export async function writeNodeStatus(
  { client, clock, shape }: NodeOptions,
  { isReady }: { readonly isReady: boolean },
): Promise<void> {
  const now = new Date(clock.nowMs()).toISOString()
  await client.request({
    method: 'PATCH',
    path: pathOf(nodes, { name: shape.name, subresource: 'status' }),
    contentType: 'application/strategic-merge-patch+json',
    body: { status: nodeStatus(shape, { now, isReady }) },
  })
}

/** A deleted Node takes its lease along, so a missing lease means: register again. */
async function renewLease(options: NodeOptions): Promise<void> {
  const { client, clock, shape } = options
  const { name } = shape
  const spec = {
    holderIdentity: name,
    leaseDurationSeconds: leaseSeconds,
    renewTime: new Date(clock.nowMs()).toISOString().replace('Z', '000Z'),
  }
  try {
    await mergePatch(client, leases, { name, namespace: leaseNamespace, patch: { spec } })
  } catch (error) {
    if (!isNotFound(error)) throw error
    await createLease(options, spec)
  }
}

async function createLease(
  options: NodeOptions,
  spec: Readonly<Record<string, string | number>>,
): Promise<void> {
  const { client, shape } = options
  const node = await getObject(client, nodes, { name: shape.name }).catch((error: unknown) => {
    if (!isNotFound(error)) throw error
    return undefined
  })
  if (node === undefined) return await registerNode(options)
  const { name, uid } = node.metadata
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }]
  const metadata = { name, namespace: leaseNamespace, ownerReferences }
  await createObject(client, leases, { metadata, spec })
}
