import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import { isNotFound } from '../../platform/kube/errors.ts'
import {
  type ListWatch,
  type ListWatchLimits,
  startListWatch,
} from '../../platform/kube/list-watch.ts'
import { listObjects } from '../../platform/kube/objects.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { parseChildName } from '../generation-job/names.ts'
import { KUEUE_LIST_MS, KUEUE_LOOK_MS, KUEUE_LOOK_PAUSE_MS, KUEUE_RETRY_MS } from '../limits.ts'
import { findWorkloadVersion } from './discovery.ts'
import { kueueLabels } from './names.ts'
import { namedQueueOf, type QuotaQueue, quotaQueueOf } from './quota-queue.ts'
import { viewWorkload, type Workload, type WorkloadView, workloadsOf } from './workload.ts'

/** Told what changed. */
export type KueueListeners = {
  /** The Workload of an attempt of the GenerationJob with this uid. */
  readonly onWorkload: (uid: string) => void
  /** Kueue has come or gone. */
  readonly onChange: () => void
}

export type KueueOptions = KueueListeners & {
  readonly client: KubeClient
  readonly clock: Clock
  readonly random: () => number
  /** Only this namespace's Workloads are watched; absent means all. */
  readonly namespace?: string | undefined
  /** LocalQueue of jobs that name none. */
  readonly localQueue?: string | undefined
  readonly limits?: Partial<ListWatchLimits> | undefined
  readonly onError: (error: unknown) => void
}

type JobRef = { readonly namespace?: string | undefined; readonly uid: string }

/**
 * What the controller knows of Kueue, which may come and go while it works. Its Workloads are
 * watched only while the cluster serves them: a watch of what is not there would fail for ever.
 */
export class Kueue {
  readonly #options: KueueOptions
  readonly #known = Promise.withResolvers<void>()
  readonly #stopping = new AbortController()
  #isKnown = false
  #version: string | undefined
  #watch: ListWatch<Workload> | undefined
  #looking: Promise<void> | undefined
  #lookedMs = -Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(options: KueueOptions) {
    this.#options = options
    // Whoever does not ask for synced() must not be hit by its rejection.
    this.#known.promise.catch(() => undefined)
  }

  start(): void {
    this.#lookAndRepeat().catch(this.#options.onError)
  }

  get isServed(): boolean {
    return this.#version !== undefined
  }

  /** It is known whether Kueue is there, and if so its Workloads are, if they can be listed. */
  async synced(): Promise<void> {
    await this.#known.promise
  }

  isSynced(): boolean {
    return this.#isKnown
  }

  /** Whose quota decides about the job; undefined when our own queue does. */
  queueOf(job: GenerationJob): QuotaQueue | undefined {
    const { localQueue } = this.#options
    return quotaQueueOf(job, { isServed: this.isServed, localQueue })
  }

  /** Of the batch/v1 Job with this uid, as far as the watch has shown it. */
  workloadOf(jobUid: string): WorkloadView | undefined {
    const [workload] = this.#watch?.lister.listIndexed(jobUid) ?? []
    return workload === undefined ? undefined : viewWorkload(workload)
  }

  /** The same from the API server; throws KubeError while that cannot say. */
  async findWorkload({ namespace, uid }: JobRef): Promise<WorkloadView | undefined> {
    if (this.#version === undefined) return undefined
    const options = { namespace, labelSelector: `${kueueLabels.jobUid}=${uid}` }
    const all = await listObjects(this.#options.client, workloadsOf(this.#version), options)
    return all[0] === undefined ? undefined : viewWorkload(all[0])
  }

  /** A job that asks for Kueue may be the first to know that it has been installed. */
  async lookFor(job: GenerationJob): Promise<void> {
    const isDue = this.#options.clock.nowMs() >= this.#lookedMs + KUEUE_LOOK_PAUSE_MS
    if (this.isServed || !isDue || namedQueueOf(job) === undefined) return
    await this.#look()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#known.reject(new Error('the controller stops'))
    clearTimeout(this.#timer)
    await this.#looking?.catch(() => undefined)
    await this.#watch?.stop()
  }

  async #lookAndRepeat(): Promise<void> {
    const pauseMs = await this.#look().then(
      () => KUEUE_LOOK_MS,
      (error: unknown) => {
        this.#options.onError(error)
        return this.#isKnown ? KUEUE_LOOK_MS : KUEUE_RETRY_MS
      },
    )
    if (this.#stopping.signal.aborted) return
    this.#timer = setTimeout(() => this.start(), pauseMs)
  }

  /** Many may ask at once. */
  async #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => {
      this.#looking = undefined
    })
    await this.#looking
  }

  async #lookOnce(): Promise<void> {
    const { client, clock } = this.#options
    const version = await findWorkloadVersion(client)
    if (this.#stopping.signal.aborted) return
    this.#lookedMs = clock.nowMs()
    if (version !== this.#version) await this.#follow(version)
    else if (version === undefined) this.#know()
  }

  async #follow(version: string | undefined): Promise<void> {
    await this.#watch?.stop()
    if (this.#stopping.signal.aborted) return
    this.#version = version
    this.#watch = version === undefined ? undefined : this.#startWatch(version)
    this.#tellOf(this.#watch).catch(this.#options.onError)
  }

  /** Not before its Workloads are listed, because whoever is told looks at them at once. */
  async #tellOf(watch: ListWatch<Workload> | undefined): Promise<void> {
    const { signal } = this.#stopping
    const patience = sleep(KUEUE_LIST_MS, signal)
    // It rejects when another watch takes its place.
    await Promise.race([watch?.synced().catch(async () => await patience), patience])
    if (signal.aborted || watch !== this.#watch) return
    this.#know()
    this.#options.onChange()
  }

  #know(): void {
    this.#isKnown = true
    this.#known.resolve()
  }

  #startWatch(version: string): ListWatch<Workload> {
    const { client, clock, random, namespace, limits, onWorkload } = this.#options
    return startListWatch({
      client,
      clock,
      random,
      namespace,
      limits,
      kind: workloadsOf(version),
      keysOf: ownersOf,
      indexBy: ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid),
      onChange: onWorkload,
      onError: (fault) => this.#onWatchError(fault),
    })
  }

  #onWatchError(fault: unknown): void {
    const { onError } = this.#options
    onError(fault)
    // Uninstalled, or moved on to another version.
    if (isNotFound(fault)) this.#look().catch(onError)
  }
}

/** uids of the GenerationJobs whose attempts a Workload is for. */
function ownersOf({ metadata }: Workload): string[] {
  return (metadata.ownerReferences ?? []).flatMap(({ name }) => parseChildName(name)?.uid ?? [])
}
