import { join } from 'node:path'
import type { KubeClient } from '../../../platform/kube/client.ts'
import type { Outcome } from '../../../platform/kube/work-queue.ts'
import { assert } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import { exitCodes, type TerminationMessage } from '../../../shared/domain/pod-contract.ts'
import { keyReader } from '../environment.ts'
import type { ImageMap } from '../image-map.ts'
import type { Pod, PodStatus } from '../pod.ts'
import { type ContainerEnd, hasEnded, newStatus, withContainer } from '../pod-status.ts'
import { confirmDeletion, writePodStatus } from '../pod-writes.ts'
import { isPoolContainer, openPoolPod, type OpenPoolPod } from './open-pool-pod.ts'
import { type Simulation, secondsOfContainer, simulationOf } from './simulation.ts'

export type SimulationContext = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly imageMap: ImageMap
  readonly podsFolder: string
  readonly onError: (error: unknown, pod: string) => void
}

export type SimulatedStart = {
  readonly pod: Pod
  readonly address: string
  /** Asks for a sync. */
  readonly wake: () => void
}

const openRetryMs = 2_000
/** A pool pod that is to end looks this often whether its last job is over. */
const drainLookMs = 50

/**
 * A pod that is not run: its containers are reported as running and, when their time is over, as
 * ended well. A pool pod serves the protocol of assignments instead, until it is deleted. Nothing
 * is kept on the disk; what an agent began, the next one goes on with from the pod's own status.
 */
export class SimulatedPod {
  readonly uid: string
  readonly address: string
  readonly #context: SimulationContext
  readonly #simulation: Simulation
  readonly #wake: () => void
  #pod: Pod
  #status: PodStatus
  #written: PodStatus | undefined
  #startedMs: number | undefined
  #stopDueMs = Infinity
  #pool: OpenPoolPod | undefined
  #lookAtMs = Infinity

  constructor(context: SimulationContext, { pod, address, wake }: SimulatedStart) {
    const simulation = simulationOf(pod.spec.containers, context.imageMap)
    assert(simulation !== undefined, 'a simulated pod has an image that is simulated')
    this.uid = pod.metadata.uid
    this.address = address
    this.#context = context
    this.#simulation = simulation
    this.#wake = wake
    this.#pod = pod
    const hasBegun = pod.status?.phase === 'Running'
    this.#status = hasBegun ? pod.status : newStatus(pod, { address, now: this.#now })
    this.#startedMs = hasBegun ? Date.parse(pod.status.startTime ?? this.#now) : undefined
  }

  get isOver(): boolean {
    return hasEnded(this.#status) && this.#pool === undefined
  }

  /** Takes the pod one step on. */
  async sync(pod: Pod): Promise<Outcome> {
    this.#pod = pod
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata
    if (deletionTimestamp !== undefined) this.stop({ graceMs: deletionGracePeriodSeconds * 1000 })
    this.#lookAtMs = Infinity
    if (!hasEnded(this.#status)) await this.#advance()
    if (hasEnded(this.#status)) await this.#closePool()
    await this.#report()
    if (!this.isOver) {
      return { kind: 'RecheckAfter', ms: Math.max(0, this.#lookAtMs - this.#nowMs) }
    }
    if (deletionTimestamp !== undefined) await confirmDeletion(this.#context.client, pod)
    return { kind: 'Done' }
  }

  /** Ends the pod; a later call may shorten the grace. Only a pool pod makes use of it. */
  stop({ graceMs }: { readonly graceMs: number }): void {
    const dueMs = this.#nowMs + graceMs
    if (this.isOver || dueMs >= this.#stopDueMs) return
    this.#stopDueMs = dueMs
    this.#pool?.pod.drain()
    this.#wake()
  }

  /** The agent ends: the next one goes on. Jobs of a pool pod are lost, as with a restart. */
  async leave(): Promise<void> {
    await this.#closePool()
  }

  get #nowMs(): number {
    return this.#context.clock.nowMs()
  }

  get #now(): string {
    return new Date(this.#nowMs).toISOString()
  }

  get #isPool(): boolean {
    return this.#pod.spec.containers.some(isPoolContainer)
  }

  readonly #warn = (error: unknown): void => {
    const { namespace, name } = this.#pod.metadata
    this.#context.onError(error, `${namespace}/${name}`)
  }

  async #advance(): Promise<void> {
    if (this.#isPool) return await this.#advancePool()
    if (this.#stopDueMs < Infinity) return this.#end('Cancelled')
    if (this.#startedMs === undefined) this.#begin({ ready: true })
    const startedMs = this.#startedMs ?? this.#nowMs
    const seconds = this.#pod.spec.containers.map((each) =>
      secondsOfContainer(this.#simulation, each),
    )
    this.#lookAtMs = startedMs + Math.max(...seconds) * 1000
    if (this.#lookAtMs <= this.#nowMs) this.#end('Completed')
  }

  async #advancePool(): Promise<void> {
    if (this.#stopDueMs < Infinity) return this.#drainPool()
    if (this.#pool !== undefined) return
    try {
      this.#pool = await this.#openPool()
    } catch (error) {
      this.#warn(error)
      this.#lookAtMs = this.#nowMs + openRetryMs
      return
    }
    this.#begin({ ready: false })
    this.#load(this.#pool).catch(this.#warn)
  }

  async #load(pool: OpenPoolPod): Promise<void> {
    await pool.load()
    if (!pool.pod.isReady) return
    this.#changeContainers({ ready: true })
    this.#wake()
  }

  #drainPool(): void {
    this.#changeContainers({ ready: false })
    if (this.#pool === undefined || this.#pool.pod.isIdle) return this.#end('Completed')
    if (this.#stopDueMs <= this.#nowMs) return this.#end('Cancelled')
    this.#lookAtMs = this.#nowMs + drainLookMs
  }

  async #openPool(): Promise<OpenPoolPod> {
    const { client, clock, imageMap, podsFolder } = this.#context
    const container = this.#pod.spec.containers.find(isPoolContainer)
    const image = imageMap.get(container?.image ?? '')
    assert(container !== undefined && image !== undefined, 'the container of a pool is simulated')
    const place = {
      pod: this.#pod,
      podIp: this.address,
      folder: join(podsFolder, this.uid),
      read: keyReader(client, this.#pod.metadata.namespace),
    }
    const simulation = this.#simulation
    return await openPoolPod({ container, place, image, simulation, clock, onError: this.#warn })
  }

  async #closePool(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.close()
  }

  #begin({ ready }: { readonly ready: boolean }): void {
    this.#startedMs ??= this.#nowMs
    const startedAt = new Date(this.#startedMs).toISOString()
    for (const { name } of this.#pod.spec.initContainers ?? []) {
      const ended = { exitCode: 0, reason: 'Completed', startedAt, finishedAt: startedAt }
      const done = { name, ready: true, state: { terminated: ended }, now: this.#now }
      this.#status = withContainer(this.#status, done)
    }
    const identity = { imageID: 'simulated', containerID: `simulated://${this.uid}` }
    this.#changeContainers({ ...identity, started: true, ready, state: { running: { startedAt } } })
  }

  #end(reason: 'Completed' | 'Cancelled'): void {
    const exitCode = reason === 'Completed' ? exitCodes.completed : exitCodes.cancelled
    const message: TerminationMessage = { reason, digest: 'simulated' }
    const terminated: ContainerEnd = {
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
      message: JSON.stringify(message),
      startedAt: new Date(this.#startedMs ?? this.#nowMs).toISOString(),
      finishedAt: this.#now,
    }
    this.#changeContainers({ started: false, ready: false, state: { terminated } })
  }

  #changeContainers(change: Omit<Parameters<typeof withContainer>[1], 'name' | 'now'>): void {
    let status = this.#status
    for (const { name } of this.#pod.spec.containers) {
      status = withContainer(status, { ...change, name, now: this.#now })
    }
    // Saying the same again must not be written again.
    if (JSON.stringify(status) !== JSON.stringify(this.#status)) this.#status = status
  }

  /** Throws KubeError when the status has to be written again. */
  async #report(): Promise<void> {
    const status = this.#status
    if (status === this.#written) return
    await writePodStatus(this.#context.client, this.#pod, status)
    this.#written = status
  }
}
