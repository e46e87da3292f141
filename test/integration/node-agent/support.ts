import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import { isNotFound, unlessNotFound } from '../../../src/platform/kube/errors.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import { namespaces, nodes, serviceAccounts } from '../../../src/platform/kube/resources.ts'
import { createLogger } from '../../../src/platform/log/logger.ts'
import {
  type NodeAgent,
  type NodeAgentOptions,
  startNodeAgent,
} from '../../../src/local/node-agent/agent.ts'
import { type ImageMap, parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { type Pod, pods } from '../../../src/local/node-agent/pod.ts'
import { identityOf } from '../../../src/local/bootstrap/steps.mjs'
import { taints } from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'

/** Images of the tests: `shell` runs its args as a shell script, `node` as a program. */
export const imageMapJson = {
  'test/pack': { folder: join(import.meta.dirname, '../../../models/demo') },
  'test/shell': { command: ['/bin/sh', '-c'], environment: { FROM_IMAGE: 'yes' } },
  'test/node': { command: [process.execPath, '-e'], environment: { FROM_IMAGE: 'yes' } },
}

export const testImages: ImageMap = parseImageMap(imageMapJson)

const testTaint = 'atelier.dev/test-run'

/** One namespace, one node prefix and one folder per test file; Nodes are its own by a taint. */
export type Rig = {
  readonly client: KubeClient
  /** Pod statuses written so far. */
  readonly statusWrites: () => number
  readonly namespace: string
  readonly prefix: string
  readonly folder: string
  readonly kubeconfigPath: string
  /** Pod specification fields that bring a pod to this rig's Nodes. */
  readonly placement: object
  readonly close: () => Promise<void>
}

export async function openRig(): Promise<Rig> {
  const { kubeconfigPath } = testEnvironment()
  let writes = 0
  const client = openKubeClient({
    kubeconfigPath,
    userAgent: 'node-agent-test',
    observe: ({ verb, resource }) => {
      if (verb === 'patch' && resource === 'pods/status') writes += 1
    },
  })
  const id = randomBytes(4).toString('hex')
  const namespace = `node-agent-${id}`
  const prefix = `test-${id}`
  const folder = mkdtempSync(join(tmpdir(), 'node-agent-'))
  await createObject(client, namespaces, { metadata: { name: namespace } })
  await waitFor(async () => {
    const accounts = await listObjects(client, serviceAccounts, { namespace })
    return accounts.some((account) => account.metadata.name === 'default')
  })
  const tolerations = [taints.processNode, testTaint].map((key) => ({ key, operator: 'Exists' }))
  const nodeName = `${prefix}-1`
  return {
    client,
    statusWrites: () => writes,
    namespace,
    prefix,
    folder,
    kubeconfigPath,
    placement: { tolerations, nodeSelector: { 'kubernetes.io/hostname': nodeName } },
    close: async () => {
      await deletePods(client, namespace)
      await deleteObject(client, namespaces, { name: namespace })
      for (const node of await listObjects(client, nodes)) {
        const { name } = node.metadata
        if (name.startsWith(prefix)) await deleteObject(client, nodes, { name })
      }
      await client.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** No agent is there any more that would end them, and a failed test may leave a finalizer. */
async function deletePods(client: KubeClient, namespace: string): Promise<void> {
  for (const { metadata } of await listObjects(client, pods, { namespace })) {
    const { name } = metadata
    const patch = { metadata: { finalizers: null } }
    try {
      await mergePatch(client, pods, { name, namespace, patch })
      await deleteObject(client, pods, { name, namespace, graceSeconds: 0 })
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
  }
}

type AgentChanges = Partial<
  Pick<
    NodeAgentOptions,
    | 'client'
    | 'tokenRenewalShare'
    | 'gpusPerNode'
    | 'nodeCount'
    | 'allowForeignNodes'
    | 'kubeletFolder'
    | 'imageMap'
  >
>

/** Starts an agent in this process; other people's pods are kept off its Nodes. */
export async function startTestAgent(rig: Rig, changes: AgentChanges = {}): Promise<NodeAgent> {
  const agent = await startNodeAgent({
    client: rig.client,
    clock: systemClock,
    random: Math.random,
    log: createLogger({ process: 'node-agent-test', level: 'error' }),
    imageMap: testImages,
    folder: rig.folder,
    nodePrefix: rig.prefix,
    nodeCount: 1,
    gpusPerNode: 2,
    allowForeignNodes: true,
    backoff: { firstMs: 300, maxMs: 1000 },
    ...changes,
  })
  await reserveNodes(rig)
  return agent
}

/** Taints the rig's Nodes so that pods of other tests in the same cluster stay away. */
export async function reserveNodes(rig: Rig): Promise<void> {
  for (const node of await listObjects(rig.client, nodes)) {
    const { name } = node.metadata
    const taint = { key: testTaint, value: rig.prefix, effect: 'NoSchedule' }
    if (!name.startsWith(rig.prefix)) continue
    const others = (node.spec?.taints ?? []).filter(({ key }) => key !== testTaint)
    await mergePatch(rig.client, nodes, { name, patch: { spec: { taints: [...others, taint] } } })
  }
}

/** Creates a pod from one container, or from a whole specification. */
export async function createPod(rig: Rig, name: string, spec: object): Promise<Pod> {
  const draft = { restartPolicy: 'Never', ...rig.placement, ...spec }
  return await rig.client.request<Pod>({
    method: 'POST',
    path: `/api/v1/namespaces/${rig.namespace}/pods`,
    body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: draft },
  })
}

/** A pod specification with one shell container. */
export function shell(script: string, more: { container?: object; pod?: object } = {}): object {
  const container = { name: 'main', image: 'test/shell', args: [script], ...more.container }
  return { containers: [container], automountServiceAccountToken: false, ...more.pod }
}

/** In a shell script: waits until it is told to go on, as often as it stands there. */
export const untilTold = 'until test -e go; do sleep 0.05; done; rm go'

/** The working folder, to which `tell` can write, of a container that is to be told. */
export const desk = {
  container: { volumeMounts: [{ name: 'work', mountPath: '/desk' }], workingDir: '/desk' },
  pod: { volumes: [{ name: 'work', emptyDir: {} }] },
}

export function tell(rig: Rig, { metadata }: Pod): void {
  writeFileSync(join(rig.folder, 'pods', metadata.uid, 'volumes/work/go'), '')
}

export async function readPod(rig: Rig, name: string): Promise<Pod | undefined> {
  const ref = { name, namespace: rig.namespace }
  return await getObject(rig.client, pods, ref).catch(unlessNotFound)
}

/** The pod as soon as the predicate holds. */
export async function podWhen(rig: Rig, name: string, holds: (pod: Pod) => boolean): Promise<Pod> {
  let last: Pod | undefined
  await waitFor(
    async () => {
      last = await readPod(rig, name)
      return last !== undefined && holds(last)
    },
    () => JSON.stringify(last?.status),
  )
  if (last === undefined) throw new Error('unreachable: waitFor has seen the pod')
  return last
}

export async function podEnd(rig: Rig, name: string): Promise<Pod> {
  return await podWhen(rig, name, (pod) => ['Succeeded', 'Failed'].includes(phaseOf(pod)))
}

export async function deletePod(rig: Rig, name: string, graceSeconds?: number): Promise<void> {
  await deleteObject(rig.client, pods, { name, namespace: rig.namespace, graceSeconds })
}

export async function podGone(rig: Rig, name: string): Promise<void> {
  await waitFor(async () => (await readPod(rig, name)) === undefined)
}

export function phaseOf(pod: Pod): string {
  return pod.status?.phase ?? ''
}

export function containerStatus(pod: Pod, index = 0) {
  return pod.status?.containerStatuses?.[index]
}

export function endOf(pod: Pod, index = 0) {
  return containerStatus(pod, index)?.state?.terminated
}

export function isRunning(pod: Pod): boolean {
  return containerStatus(pod)?.state?.running !== undefined
}

/** Process of the first container: the wrapper, which leads the process group. */
export function pidOf(pod: Pod): number {
  return Number(containerStatus(pod)?.containerID?.split('/')[2])
}

/** A zombie, which nobody has collected yet, is dead. */
export function isAlive(pid: number): boolean {
  return identityOf(pid).started !== ''
}

const waitLimitMs = 30_000

/** Looks every 50 ms until the condition holds; bounded, and the failure says what was seen. */
export async function waitFor(
  holds: () => Promise<boolean> | boolean,
  describe: () => string = () => '',
): Promise<void> {
  const endMs = Date.now() + waitLimitMs
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`still not so after 30 s ${describe()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
