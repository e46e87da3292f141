import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { createObject, deleteObject, getObject } from '../../../src/platform/kube/objects.ts'
import { nodes, pathOf } from '../../../src/platform/kube/resources.ts'
import { gpuResource, taints } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'

export type TestNode = {
  readonly name: string
  readonly setReady: (ready: boolean) => Promise<void>
  /** No word comes from it any more. */
  readonly freeze: () => void
  readonly remove: () => Promise<void>
}

export type TestNodeOptions = {
  readonly name: string
  /** Value of the label by which the test's controller finds its Nodes. */
  readonly pool: string
  readonly gpus: number
}

const HEARTBEAT_MS = 8000

/** A Node without a machine: the test reports for it what a kubelet would. */
export async function createNode(client: KubeClient, options: TestNodeOptions): Promise<TestNode> {
  const { name, pool, gpus } = options
  let isReady = true
  await createObject(client, nodes, {
    metadata: { name, labels: { 'test.atelier.dev/pool': pool } },
    spec: { taints: [{ key: taints.processNode, value: 'true', effect: 'NoSchedule' }] },
  })
  const report = async () => await reportStatus(client, { name, gpus, isReady })
  await report()
  // Without a heartbeat the node lifecycle controller would lose patience.
  const timer = setInterval(() => void report().catch(() => undefined), HEARTBEAT_MS)
  await eventually(async () => {
    const node = await getObject(client, nodes, { name })
    const keys = (node.spec?.taints ?? []).map(({ key }) => key)
    if (keys.includes('node.kubernetes.io/not-ready')) throw new Error('still tainted not-ready')
  })
  return {
    name,
    setReady: async (ready) => {
      isReady = ready
      await report()
    },
    freeze: () => clearInterval(timer),
    remove: async () => {
      clearInterval(timer)
      await deleteObject(client, nodes, { name }).catch(unlessNotFound)
    },
  }
}

type NodeReport = { readonly name: string; readonly gpus: number; readonly isReady: boolean }

async function reportStatus(client: KubeClient, { name, gpus, isReady }: NodeReport) {
  const resources = { cpu: '8', memory: '16Gi', pods: '100', [gpuResource]: String(gpus) }
  const time = new Date().toISOString()
  await client.request({
    method: 'PATCH',
    path: pathOf(nodes, { name, subresource: 'status' }),
    contentType: 'application/strategic-merge-patch+json',
    body: {
      status: {
        capacity: resources,
        allocatable: resources,
        conditions: [
          {
            type: 'Ready',
            status: isReady ? 'True' : 'False',
            reason: isReady ? 'Test' : 'TestSaysSo',
            lastHeartbeatTime: time,
            lastTransitionTime: time,
          },
        ],
      },
    },
  })
}
