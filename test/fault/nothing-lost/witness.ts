import type { KubeClient } from '../../../src/platform/kube/client.ts'
import type { ObjectPage } from '../../../src/platform/kube/objects.ts'
import {
  type AnyKind,
  departments,
  deployments,
  generationJobs,
  type Job,
  jobs,
  keyOf,
  modelPools,
  models,
  pathOf,
  type Pod,
  pods,
  secrets,
} from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import { parseWatchEvent } from '../../../src/platform/kube/watch-event.ts'
import type { GenerationJob, Output } from '../../../src/shared/crd/generation-job.ts'
import { isTerminalStatus } from '../../../src/shared/domain/job-status.ts'
import { labels } from '../../../src/shared/names.ts'

/** The history of one GenerationJob, by its uid. */
export type SeenJob = {
  newest: GenerationJob
  isGone: boolean
  /** Every terminal `status/reason` of Succeeded that it ever had. */
  readonly verdicts: Set<string>
  /** Every set of results that its status ever had. */
  readonly outputs: Set<string>
}

export type WitnessOptions = {
  readonly client: KubeClient
  /** Absent: all of them. */
  readonly namespace?: string
  readonly isOurs?: (object: KubeObject) => boolean
}

type Told = { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }

const kinds = [generationJobs, jobs, pods, secrets, modelPools, deployments, models, departments]
const watchMs = 3_600_000

/**
 * Sees every change at the API server, going around all proxies: what a poll would miss, such as a
 * verdict that was taken back or a pod that lived for a moment, is remembered.
 */
export class Witness {
  readonly jobs = new Map<string, SeenJob>()
  /** One line for every change of any kind since the beginning. */
  readonly changes: string[] = []
  readonly repeated: string[] = []
  readonly #attempts = new Map<string, Job>()
  readonly #pods = new Map<string, Pod>()
  /** Uids of pods by `<uid of the job>/<attempt>`, those that are gone as well. */
  readonly #podsOf = new Map<string, Set<string>>()
  readonly #options: WitnessOptions
  readonly #stopping = new AbortController()
  #followed: Promise<void>[] = []
  #fault: unknown

  static async open(options: WitnessOptions): Promise<Witness> {
    const witness = new Witness(options)
    await Promise.all(kinds.map(async (kind) => await witness.#begin(kind)))
    return witness
  }

  constructor(options: WitnessOptions) {
    this.#options = options
  }

  /** What has not gone although its job has ended: a sentence each. */
  left(): readonly string[] {
    if (this.#fault !== undefined) throw new Error('the witness is blind', { cause: this.#fault })
    const ending = [...this.jobs.values()].filter(({ newest, isGone }) => {
      return !isGone && newest.metadata.deletionTimestamp !== undefined
    })
    const children = [...this.#pods.values(), ...this.#attempts.values()]
    return [
      ...ending.map(({ newest }) => `${keyOf(newest)} is being deleted`),
      ...children.filter((child) => this.#isLeft(child)).map((child) => `${keyOf(child)} is left`),
    ]
  }

  close = async (): Promise<void> => {
    this.#stopping.abort()
    await Promise.all(this.#followed)
  }

  /** One that has ended may stay with its job; nothing may stay without it. */
  #isLeft(child: Pod | Job): boolean {
    const job = this.jobs.get(child.metadata.labels?.[labels.jobUid] ?? '')
    if (job === undefined || job.isGone || child.metadata.deletionTimestamp !== undefined) {
      return true
    }
    return isTerminalStatus(job.newest.status) && isAtWork(child)
  }

  async #begin(kind: AnyKind): Promise<void> {
    const { client, namespace } = this.#options
    const path = pathOf(kind, { namespace })
    const { metadata, items } = await client.request<ObjectPage<KubeObject>>({
      method: 'GET',
      path,
    })
    for (const object of items) this.#take(kind, { type: 'ADDED', object })
    const followed = this.#follow(kind, { path, from: metadata.resourceVersion })
    this.#followed.push(
      followed.catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) this.#fault = error
      }),
    )
  }

  async #follow(kind: AnyKind, { path, from }: { path: string; from: string }): Promise<void> {
    const { client } = this.#options
    const { signal } = this.#stopping
    let resourceVersion = from
    while (!signal.aborted) {
      const query = { watch: true, resourceVersion, timeoutSeconds: watchMs / 1000 }
      for await (const line of await client.stream({ path, query, silenceMs: watchMs, signal })) {
        const event = parseWatchEvent<KubeObject>(line)
        if (event.type === 'ERROR') throw new Error(`watch of ${kind.plural}: ${line}`)
        ;({ resourceVersion } = event.object.metadata)
        if (event.type === 'BOOKMARK') continue
        if (this.#options.isOurs?.(event.object) ?? true) {
          this.changes.push(`${event.type} ${kind.kind} ${keyOf(event.object)} ${resourceVersion}`)
        }
        this.#take(kind, { type: event.type, object: event.object })
      }
    }
  }

  #take(kind: AnyKind, told: Told): void {
    if (!(this.#options.isOurs?.(told.object) ?? true)) return
    // The path that was asked tells which kind these objects have.
    if (kind === generationJobs) this.#takeJob(told as Told & { object: GenerationJob })
    if (told.object.metadata.labels?.[labels.jobUid] === undefined) return
    if (kind === jobs) keep(this.#attempts, told as Told & { object: Job })
    if (kind === pods) this.#takePod(told)
  }

  #takeJob({ type, object }: Told & { readonly object: GenerationJob }): void {
    const { uid } = object.metadata
    const seen: SeenJob = this.jobs.get(uid) ?? {
      newest: object,
      isGone: false,
      verdicts: new Set(),
      outputs: new Set(),
    }
    this.jobs.set(uid, seen)
    seen.newest = object
    seen.isGone = type === 'DELETED'
    const succeeded = object.status?.conditions?.find((one) => one.type === 'Succeeded')
    if (succeeded === undefined || succeeded.status === 'Unknown') {
      if (seen.verdicts.size > 0) this.repeated.push(`${keyOf(object)} came back from its end`)
      return
    }
    seen.verdicts.add(`${succeeded.status}/${succeeded.reason}`)
    const { outputs = [] } = object.status ?? {}
    if (outputs.length > 0) seen.outputs.add(resultsOf(outputs))
  }

  #takePod(told: Told & { readonly object: Pod }): void {
    const { uid, labels: given = {} } = told.object.metadata
    const attempt = `${given[labels.jobUid]}/${given[labels.attempt]}`
    const known = this.#podsOf.get(attempt) ?? new Set()
    this.#podsOf.set(attempt, known)
    if (!known.has(uid)) {
      known.add(uid)
      if (known.size > 1) this.repeated.push(`attempt ${attempt} has ${known.size} pods`)
      for (const other of this.#pods.values()) {
        const isSibling = other.metadata.labels?.[labels.jobUid] === given[labels.jobUid]
        if (isSibling && isAtWork(other)) {
          this.repeated.push(`${keyOf(told.object)} began while ${keyOf(other)} was at work`)
        }
      }
    }
    keep(this.#pods, told)
  }
}

/** The same text for the same results. */
export function resultsOf(outputs: readonly Output[]): string {
  return outputs.map(({ key, sha256 }) => `${key} ${sha256}`).join()
}

function keep<T extends KubeObject>(
  all: Map<string, T>,
  { type, object }: { readonly type: Told['type']; readonly object: T },
): void {
  if (type === 'DELETED') all.delete(object.metadata.uid)
  else all.set(object.metadata.uid, object)
}

/** Of a Job the count of its pods tells, of a pod its phase. */
function isAtWork({ status }: Pod | Job): boolean {
  if (status === undefined) return true
  if ('phase' in status) return status.phase === 'Pending' || status.phase === 'Running'
  return 'active' in status && (status.active ?? 0) > 0
}
