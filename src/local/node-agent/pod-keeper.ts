import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { keyOf } from '../../platform/kube/resources.ts'
import { type Outcome, type WorkQueue, startWorkQueue } from '../../platform/kube/work-queue.ts'
import { killMarked, runFolder } from './container-process.ts'
import { allStatuses, hasEnded, loadStatus, newStatus, withoutStarts } from './pod-status.ts'
import { PodWorker, type StopOptions, type WorkerContext } from './pod-worker.ts'
import { confirmDeletion } from './pod-writes.ts'
import type { Pod, PodStatus } from './pod.ts'
import { SimulatedPod } from './simulation/simulated-pod.ts'
import { simulationOf } from './simulation/simulation.ts'

export type KeeperOptions = WorkerContext & {
  /** The newest known version of a pod on one of our Nodes. */
  readonly find: (key: string) => Pod | undefined
  readonly random: () => number
}

const concurrency = 32
const retryMs = 1_000
const goneGraceMs = 2_000

/** Keeps one worker for each pod that is bound to our Nodes. */
export class PodKeeper {
  readonly #options: KeeperOptions
  readonly #queue: WorkQueue
  readonly #workers = new Map<string, PodWorker | SimulatedPod>()
  /** Of the workers, kept beside them: there may be thousands. */
  readonly #addresses = new Set<string>()
  #isLeaving = false

  constructor(options: KeeperOptions) {
    const { clock, random, onError } = options
    const reconcile = async (key: string): Promise<Outcome> => {
      try {
        return await this.#reconcile(key)
      } catch (error) {
        // Mostly an API server that does not answer: it is asked again at a steady pace.
        onError(error, key)
        return { kind: 'RecheckAfter', ms: retryMs }
      }
    }
    this.#options = options
    this.#queue = startWorkQueue({ reconcile, concurrency, clock, random, onError })
  }

  /** Ends every process that an earlier agent left and that no status of a known pod names. */
  adopt(known: readonly Pod[]): void {
    const { podsFolder } = this.#options
    mkdirSync(podsFolder, { recursive: true, mode: 0o700 })
    killMarked(podsFolder, new Set(known.flatMap((pod) => runningFolders(this.#folderOf(pod)))))
    const uids = new Set(known.map((pod) => pod.metadata.uid))
    for (const uid of readdirSync(podsFolder)) {
      if (!uids.has(uid)) rmSync(join(podsFolder, uid), { recursive: true, force: true })
    }
    for (const pod of known) this.observe(keyOf(pod))
  }

  observe(key: string): void {
    this.#queue.add(key)
  }

  /** Ends what runs; resolves when all ends have been reported. */
  async leave(options: StopOptions): Promise<void> {
    this.#isLeaving = true
    await Promise.all([...this.#workers.values()].map((worker) => worker.leave(options)))
  }

  async stop(): Promise<void> {
    await this.#queue.stop()
  }

  async #reconcile(key: string): Promise<Outcome> {
    const pod = this.#options.find(key)
    const worker = this.#workers.get(key)
    if (worker !== undefined && worker.uid !== pod?.metadata.uid) {
      // The end of its last process brings it here again.
      if (!(await hasStopped(worker))) return { kind: 'Done' }
      this.#workers.delete(key)
      this.#addresses.delete(worker.address)
      rmSync(join(this.#options.podsFolder, worker.uid), { recursive: true, force: true })
    }
    if (pod === undefined) return { kind: 'Done' }
    const current = this.#workers.get(key) ?? this.#begin(key, pod)
    if (current !== undefined) return await current.sync(pod)
    if (pod.metadata.deletionTimestamp !== undefined) {
      await confirmDeletion(this.#options.client, pod)
    }
    return { kind: 'Done' }
  }

  /** Undefined for a pod that had ended before this agent knew of it, or comes too late. */
  #begin(key: string, pod: Pod): PodWorker | SimulatedPod | undefined {
    const isSimulated = simulationOf(pod.spec.containers, this.#options.imageMap) !== undefined
    if (isSimulated) return this.#beginSimulated(key, pod)
    const status = loadStatus(this.#folderOf(pod)) ?? this.#firstStatus(pod)
    if (status === undefined || this.#isLeaving) return undefined
    const worker = new PodWorker(this.#options, { pod, status }, () => this.observe(key))
    return this.#keep(key, worker)
  }

  #beginSimulated(key: string, pod: Pod): SimulatedPod | undefined {
    if (hasEnded(pod.status) || this.#isLeaving) return undefined
    const start = { pod, address: this.#addressOf(pod), wake: () => this.observe(key) }
    return this.#keep(key, new SimulatedPod(this.#options, start))
  }

  #keep<Worker extends PodWorker | SimulatedPod>(key: string, worker: Worker): Worker {
    this.#workers.set(key, worker)
    this.#addresses.add(worker.address)
    return worker
  }

  #addressOf({ metadata, status }: Pod): string {
    return status?.podIP ?? choosePodAddress(metadata.uid, this.#addresses)
  }

  #firstStatus(pod: Pod): PodStatus | undefined {
    if (hasEnded(pod.status)) return undefined
    const now = new Date(this.#options.clock.nowMs()).toISOString()
    const status = newStatus(pod, { address: this.#addressOf(pod), now })
    if (pod.status?.phase !== 'Running') return status
    const failure = { reason: 'NodeRestarted', message: 'the process node has lost the pod' }
    return withoutStarts(status, { now, failure })
  }

  #folderOf(pod: Pod): string {
    return join(this.#options.podsFolder, pod.metadata.uid)
  }
}

/** Ends what runs of a pod that is gone; false while that takes time. */
async function hasStopped(worker: PodWorker | SimulatedPod): Promise<boolean> {
  if (worker instanceof SimulatedPod) {
    // Nobody is there any more whose status could say that it drains.
    await worker.leave()
    return true
  }
  worker.stop({ graceMs: goneGraceMs })
  return worker.isOver
}

/** Folders of the processes that ran when this status was written. */
function runningFolders(podFolder: string): readonly string[] {
  return allStatuses(loadStatus(podFolder))
    .filter(({ state }) => state?.running !== undefined)
    .map(({ name, restartCount }) => runFolder(podFolder, name, restartCount).folder)
}

/**
 * A loopback address of the pod's own, 127.16.0.1 to 127.239.255.254, computed from its uid so
 * that several agents on one machine seldom collide; another one when it is taken.
 */
export function choosePodAddress(uid: string, taken: ReadonlySet<string>): string {
  for (let attempt = 0; ; attempt += 1) {
    const [a = 0, b = 0, c = 0] = createHash('sha256').update(`${attempt} ${uid}`).digest()
    const address = `127.${16 + (a % 224)}.${b}.${1 + (c % 254)}`
    if (!taken.has(address)) return address
  }
}
