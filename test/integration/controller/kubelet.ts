import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs, pathOf, type Pod, pods } from '../../../src/platform/kube/resources.ts'
import { timestamp } from '../../../src/shared/clock.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
import { jobContainerName } from '../../../src/shared/domain/pod-contract.ts'
import type { FakeInternalApi } from './fake-internal-api.ts'

/** What the container of one pod does. */
export type Behaviour = {
  /** It never starts: as with an image that cannot be pulled. */
  readonly waitingReason?: string
  /** Once running, it ends by itself with this; without it, it runs until it is stopped. */
  readonly exit?: { readonly code: number; readonly report?: Report; readonly reason?: string }
  /** What it reports when it is stopped. */
  readonly stopReport?: Report
  /** Its Node is frozen: nobody looks after it, not even when it is deleted. */
  readonly isFrozen?: boolean
}

export type KubeletOptions = {
  readonly client: KubeClient
  readonly api: FakeInternalApi
  readonly namespace: string
  /** Chosen per attempt; the pod's name tells which. */
  readonly behaviour: (attempt: number, jobName: string) => Behaviour
}

export type Kubelet = { readonly stop: () => Promise<void> }

const POLL_MS = 60

/**
 * Plays the kubelet of the test's Nodes: real pods, bound by the real scheduler, whose status
 * changes as if containers ran. Like a real pod, it works only once the GenerationJob's status
 * names it, because the api would refuse it before.
 */
export function startKubelet(options: KubeletOptions): Kubelet {
  const stopping = new AbortController()
  const finished = run(options, stopping.signal)
  return {
    stop: async () => {
      stopping.abort()
      await finished
    },
  }
}

async function run(options: KubeletOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { client, namespace } = options
    const all = await listObjects(client, pods, { namespace })
    await Promise.all(all.map(async (pod) => await step(options, pod).catch(unlessNotFound)))
    await new Promise((resolve) => {
      setTimeout(resolve, POLL_MS)
    })
  }
}

async function step(options: KubeletOptions, pod: Pod): Promise<void> {
  if (pod.spec?.nodeName === undefined) return
  const { attempt, uid } = identityOf(pod)
  const job = await jobOf(options, uid)
  const behaviour = options.behaviour(attempt, job?.metadata.name ?? '')
  if (behaviour.isFrozen === true) return
  if (pod.metadata.deletionTimestamp !== undefined) return await stopPod(options, pod)
  if (job !== undefined) await advancePod(options, pod, { job, behaviour })
}

type Advance = { readonly job: GenerationJob; readonly behaviour: Behaviour }

async function advancePod(options: KubeletOptions, pod: Pod, { job, behaviour }: Advance) {
  const phase = pod.status?.phase
  if (phase === 'Pending') return await startPod(options, pod, behaviour)
  if (phase === 'Running') await endPod(options, pod, { job, exit: behaviour.exit })
}

type Ending = { readonly job: GenerationJob; readonly exit: Behaviour['exit'] }

async function endPod(options: KubeletOptions, pod: Pod, { job, exit }: Ending): Promise<void> {
  const isServed = job.status?.attempt?.podUID === pod.metadata.uid
  if (exit === undefined || !isServed) return
  const { code, report, reason } = exit
  const { attempt, uid } = identityOf(pod)
  if (report !== undefined) options.api.setReport(job.spec.jobId ?? uid, attempt, report)
  await setStatus(options.client, pod, {
    phase: code === 0 ? 'Succeeded' : 'Failed',
    containerStatuses: [container({ terminated: terminated(pod, code, reason) })],
  })
}

async function startPod(
  { client }: KubeletOptions,
  pod: Pod,
  { waitingReason }: Behaviour,
): Promise<void> {
  if (waitingReason === undefined) {
    const startedAt = now()
    await setStatus(client, pod, {
      phase: 'Running',
      startTime: startedAt,
      containerStatuses: [container({ running: { startedAt } })],
    })
    return
  }
  if (pod.status?.containerStatuses !== undefined) return
  const waiting = { reason: waitingReason, message: 'as the test wants it' }
  await setStatus(client, pod, { containerStatuses: [container({ waiting })] })
}

/** As after SIGTERM: the container reports, ends, and the object goes. */
async function stopPod(options: KubeletOptions, pod: Pod): Promise<void> {
  const { client, api } = options
  const { attempt, uid } = identityOf(pod)
  const { name, namespace } = pod.metadata
  if (pod.status?.phase === 'Running' || pod.status?.phase === 'Pending') {
    const job = await jobOf(options, uid)
    const report = options.behaviour(attempt, job?.metadata.name ?? '').stopReport
    if (report !== undefined) api.setReport(job?.spec.jobId ?? uid, attempt, report)
    await setStatus(client, pod, {
      phase: 'Failed',
      containerStatuses: [container({ terminated: terminated(pod, 10) })],
    })
  }
  await deleteObject(client, pods, { name, namespace, uid: pod.metadata.uid, graceSeconds: 0 })
}

async function jobOf({ client, namespace }: KubeletOptions, uid: string) {
  const all = await listObjects(client, generationJobs, { namespace })
  return all.find(({ metadata }) => metadata.uid === uid)
}

function identityOf(pod: Pod): { readonly uid: string; readonly attempt: number } {
  const match = /^gj-(.{36})-a(\d+)-/.exec(pod.metadata.name)
  return { uid: match?.[1] ?? '', attempt: Number(match?.[2] ?? 0) }
}

function now(): string {
  return timestamp(Date.now())
}

function terminated(pod: Pod, exitCode: number, reason?: string) {
  const running = pod.status?.containerStatuses?.[0]?.state?.running
  return {
    exitCode,
    reason: reason ?? (exitCode === 0 ? 'Completed' : 'Error'),
    // A container that never ran has none.
    startedAt: running?.startedAt,
    finishedAt: now(),
  }
}

function container(state: object) {
  return {
    name: jobContainerName,
    image: 'test',
    imageID: '',
    ready: false,
    restartCount: 0,
    state,
  }
}

/** A kubelet's own write: merge patch of the pod's status. */
export async function setStatus(client: KubeClient, pod: Pod, status: object): Promise<void> {
  const { name, namespace } = pod.metadata
  await client.request({
    method: 'PATCH',
    path: pathOf(pods, { namespace, name, subresource: 'status' }),
    contentType: 'application/merge-patch+json',
    body: { status },
  })
}
