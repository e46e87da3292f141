import { randomInt } from 'node:crypto'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { type Pod, pods, secrets } from '../../../src/platform/kube/resources.ts'
import { timestamp } from '../../../src/shared/clock.ts'
import { jobContainerName } from '../../../src/shared/domain/pod-contract.ts'
import { labels } from '../../../src/shared/names.ts'
import type { FakeInternalApi } from './fake-internal-api.ts'
import { FakePoolPod, type RunBehaviour } from './fake-pool-pod.ts'
import { setStatus } from './kubelet.ts'

export type FakePoolPods = {
  /** Those that are ready, oldest first. */
  readonly ready: () => readonly FakePoolPod[]
  /** What the pods do with a job, by its name. */
  readonly behave: (job: string, behaviour: RunBehaviour) => void
  /** Attempts that were begun, such as `job/1`, on all pods there were. */
  readonly begun: () => readonly string[]
  /** Attempts that have a slot now. */
  readonly running: () => readonly string[]
  /** What must never happen, of all pods there were. */
  readonly violations: () => readonly string[]
  /** As when its Node is lost. */
  readonly kill: (pod: FakePoolPod) => Promise<void>
  readonly close: () => Promise<void>
}

export type FakePoolPodsOptions = {
  readonly client: KubeClient
  readonly api: FakeInternalApi
  readonly namespace: string
  readonly slots?: number
}

const POLL_MS = 60

/**
 * Plays the kubelet and the processes of pool pods. Deployment, ReplicaSet and binding are real;
 * the processes speak the protocol of pool pods and compute nothing, because these tests decide
 * what a pod answers and when it dies. The inference process has tests of its own.
 */
export function startFakePoolPods(options: FakePoolPodsOptions): FakePoolPods {
  const stopping = new AbortController()
  const running = new Map<string, FakePoolPod>()
  const all: FakePoolPod[] = []
  const killed = new Set<string>()
  const behaviours = new Map<string, RunBehaviour>()
  const finished = run(options, { running, all, killed, behaviours, signal: stopping.signal })
  return {
    ready: () => [...running.values()],
    behave: (job, behaviour) => behaviours.set(job, behaviour),
    begun: () => all.flatMap((pod) => pod.begun),
    running: () => [...running.values()].flatMap((pod) => pod.running()),
    violations: () => all.flatMap((pod) => pod.violations),
    kill: async (pod) => {
      running.delete(pod.uid)
      killed.add(pod.uid)
      await pod.close()
      await remove(options, pod)
    },
    close: async () => {
      stopping.abort()
      await finished
      await Promise.all([...running.values()].map(async (pod) => await pod.close()))
    },
  }
}

type State = {
  readonly running: Map<string, FakePoolPod>
  readonly all: FakePoolPod[]
  /** A list that is a moment old may still show them. */
  readonly killed: ReadonlySet<string>
  readonly behaviours: ReadonlyMap<string, RunBehaviour>
  readonly signal: AbortSignal
}

async function run(options: FakePoolPodsOptions, state: State): Promise<void> {
  const { client, namespace } = options
  while (!state.signal.aborted) {
    const found = await listObjects(client, pods, { namespace, labelSelector: labels.pool })
    for (const pod of found) await step(options, state, pod)
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}

async function step(options: FakePoolPodsOptions, state: State, pod: Pod): Promise<void> {
  const { uid, deletionTimestamp } = pod.metadata
  const known = state.running.get(uid)
  if (deletionTimestamp !== undefined) {
    // The world's kubelet does the rest.
    state.running.delete(uid)
    await known?.close()
  } else if (known === undefined && !state.killed.has(uid) && pod.spec?.nodeName !== undefined) {
    await start(options, state, pod)
  }
}

async function start(options: FakePoolPodsOptions, state: State, pod: Pod): Promise<void> {
  const { client, api, namespace, slots = 1 } = options
  const { uid, name, labels: given } = pod.metadata
  const pool = given?.[labels.pool] ?? ''
  const secret = await getObject(client, secrets, { namespace, name: `pool-${pool}-key` })
  const ip = `127.${randomInt(100, 250)}.${randomInt(1, 250)}.${randomInt(1, 250)}`
  const fake = new FakePoolPod({
    client,
    api,
    namespace,
    uid,
    name,
    slots,
    key: Buffer.from(secret.data?.['key'] ?? '', 'base64'),
    behaviourOf: (job) => state.behaviours.get(job) ?? {},
  })
  await fake.listen(ip)
  await reportReady(client, pod, ip).catch(unlessNotFound)
  state.running.set(uid, fake)
  state.all.push(fake)
}

async function reportReady(client: KubeClient, pod: Pod, ip: string): Promise<void> {
  const time = timestamp(Date.now())
  const container = {
    name: jobContainerName,
    image: 'test',
    imageID: '',
    ready: true,
    restartCount: 0,
    state: { running: { startedAt: time } },
  }
  await setStatus(client, pod, {
    phase: 'Running',
    startTime: time,
    podIP: ip,
    podIPs: [{ ip }],
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => {
      return { type, status: 'True', lastTransitionTime: time }
    }),
    containerStatuses: [container],
  })
}

async function remove({ client, namespace }: FakePoolPodsOptions, { name }: { name: string }) {
  await deleteObject(client, pods, { namespace, name, graceSeconds: 0 }).catch(unlessNotFound)
}
