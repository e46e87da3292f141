import { readdirSync } from 'node:fs'
import { sleep } from '../../platform/clock/sleep.ts'
import { isConflict, isNotFound } from '../../platform/kube/errors.ts'
import { deleteObject } from '../../platform/kube/objects.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import { type WorkQueue, startWorkQueue } from '../../platform/kube/work-queue.ts'
import { containerFolderVariable, runFolder } from './container-process.ts'
import { choosePodAddress } from './pod-address.ts'
import {
  type PodFailure,
  type PodRecord,
  containerFolder,
  loadRecords,
  lostRecord,
  newRecord,
  podFolder,
  removePodFolder,
} from './pod-record.ts'
import { PodWorker, type WorkerContext } from './pod-worker.ts'
import { type Pod, isTerminal, pods } from './pod.ts'
import { findMarkedProcesses, sendSignal } from './processes.ts'

export type KeeperOptions = {
  readonly context: WorkerContext
  /** The newest known version of a pod on one of our Nodes. */
  readonly find: (key: string) => Pod | undefined
  readonly random: () => number
  readonly onError: (error: unknown, key: string) => void
  /** A bug: the agent cannot go on. */
  readonly onFatal: (error: unknown) => void
}

const concurrency = 32
const goneGraceMs = 2_000

/** Keeps one worker for each pod that is bound to our Nodes. */
export class PodKeeper {
  readonly #options: KeeperOptions
  readonly #queue: WorkQueue
  readonly #workers = new Map<string, PodWorker>()
  readonly #runs = new Map<PodWorker, Promise<void>>()
  readonly #records = new Map<string, PodRecord>()

  constructor(options: KeeperOptions) {
    const { random, onError, context } = options
    this.#options = options
    this.#queue = startWorkQueue({
      reconcile: async (key) => {
        await this.#reconcile(key)
        return { kind: 'Done' }
      },
      concurrency,
      clock: context.clock,
      random,
      onError,
    })
  }

  /**
   * Begins with what an earlier agent left: its pods are taken over, and every process that is
   * not the recorded one of a container of a known pod is killed.
   */
  adopt(known: readonly Pod[]): void {
    const { podsFolder } = this.#options.context
    const uids = new Set(known.map((pod) => pod.metadata.uid))
    for (const record of loadRecords(podsFolder)) {
      if (uids.has(record.uid)) this.#records.set(record.uid, record)
    }
    killStrangers(podsFolder, [...this.#records.values()])
    for (const uid of readdirSync(podsFolder)) {
      if (!this.#records.has(uid)) removePodFolder(podsFolder, uid)
    }
    for (const pod of known) this.observe(keyOf(pod))
  }

  observe(key: string): void {
    this.#queue.add(key)
  }

  /** Ends what runs and waits for the reports, but no longer than `limitMs`. */
  async leave(options: {
    readonly graceMs: number
    readonly limitMs: number
    readonly failure: PodFailure
  }): Promise<void> {
    await this.#queue.stop()
    const limit = new AbortController()
    for (const worker of this.#runs.keys()) worker.leave(options)
    const ended = Promise.all(this.#runs.values()).finally(() => limit.abort())
    await sleep(options.limitMs, limit.signal)
    for (const worker of this.#runs.keys()) worker.abandon()
    await ended
  }

  async #reconcile(key: string): Promise<void> {
    const pod = this.#options.find(key)
    const worker = this.#workers.get(key)
    if (worker !== undefined && worker.uid !== pod?.metadata.uid) {
      worker.stop({ graceMs: goneGraceMs })
      if (!worker.isFinished) return
      this.#workers.delete(key)
      removePodFolder(this.#options.context.podsFolder, worker.uid)
    }
    if (pod !== undefined) await this.#follow(key, pod)
  }

  async #follow(key: string, pod: Pod): Promise<void> {
    const worker = this.#workers.get(key) ?? this.#start(key, pod)
    worker?.update(pod)
    if (worker?.isFinished === false) return
    const { name, namespace, uid, deletionTimestamp, finalizers = [] } = pod.metadata
    if (deletionTimestamp === undefined) return
    // Said already; the API server waits for the finalizers alone.
    if (pod.metadata.deletionGracePeriodSeconds === 0 && finalizers.length > 0) return
    const target = { name, namespace, uid, graceSeconds: 0 }
    await deleteObject(this.#options.context.client, pods, target).catch((error: unknown) => {
      if (!isNotFound(error) && !isConflict(error)) throw error
    })
  }

  /** Undefined for a pod that had ended before this agent knew of it. */
  #start(key: string, pod: Pod): PodWorker | undefined {
    const { context, onFatal } = this.#options
    const record = this.#records.get(pod.metadata.uid) ?? this.#firstRecord(pod)
    if (record === undefined) return undefined
    this.#records.delete(record.uid)
    const worker = new PodWorker(context, pod, record)
    this.#workers.set(key, worker)
    const run = worker.run().finally(() => this.#runs.delete(worker))
    this.#runs.set(worker, run)
    run.then(() => this.observe(key)).catch(onFatal)
    return worker
  }

  /** A pod that runs according to its status, but is unknown here, has lost its processes. */
  #firstRecord(pod: Pod): PodRecord | undefined {
    const now = new Date(this.#options.context.clock.nowMs()).toISOString()
    if (isTerminal(pod)) return undefined
    if (pod.status?.phase === 'Running') return lostRecord(pod, now)
    const taken = [...this.#workers.values(), ...this.#records.values()]
    const addresses = new Set(taken.map(({ address }) => address))
    const address = pod.status?.podIP ?? choosePodAddress(pod.metadata.uid, addresses)
    return newRecord(pod, { address, now })
  }
}

/** The agent may have died between a process's start and the record of it. */
function killStrangers(podsFolder: string, records: readonly PodRecord[]): void {
  const expected = new Set(
    records.flatMap(({ uid, containers }) =>
      Object.entries(containers).flatMap(([name, { run, restarts }]) => {
        const folder = containerFolder(podFolder(podsFolder, uid), name)
        return run === undefined ? [] : [runFolder(folder, restarts).folder]
      }),
    ),
  )
  for (const { pid, folder } of findMarkedProcesses(containerFolderVariable, podsFolder)) {
    if (!expected.has(folder)) sendSignal(pid, 'SIGKILL')
  }
}
