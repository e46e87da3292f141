import { mkdirSync, rmSync } from 'node:fs'
import { sleep, TIMER_MS_MAX } from '../../platform/clock/sleep.ts'
import { runContainer } from './container-loop.ts'
import { type ContainerProcess, type RunFolder, stopContainer } from './container-process.ts'
import type { PodSources } from './environment.ts'
import {
  type ContainerRecord,
  type PodFailure,
  type PodRecord,
  containerFolder,
  containerOf,
  podFolder,
  saveRecord,
  withContainer,
} from './pod-record.ts'
import {
  type PreparationOptions,
  type PreparedPod,
  planContainer,
  preparePod,
  volumesFolder,
} from './pod-preparation.ts'
import { podStatus } from './pod-status.ts'
import { type Container, type Pod, allContainers, initContainersOf, isTerminal } from './pod.ts'
import type { ProcessPlan } from './process-plan.ts'
import { refusalReason, refusalsOf } from './refusal.ts'
import type { RestartBackoff } from './restart-policy.ts'
import { StatusReporter } from './status-reporter.ts'

export type WorkerContext = PreparationOptions & {
  readonly podsFolder: string
  readonly backoff: RestartBackoff
  readonly warn: (pod: Pod, message: string) => void
}

export type StopOptions = {
  readonly graceMs: number
  /** Why the agent ends the pod; without it the exit codes decide about success. */
  readonly failure?: PodFailure
}

/** The life of one pod on this machine: from its binding, or the agent's restart, to its end. */
export class PodWorker {
  readonly uid: string
  readonly address: string
  #isFinished = false
  #stopDueMs = Infinity
  #isLeft = false
  #pod: Pod
  #record: PodRecord
  #conditions: ReturnType<typeof podStatus>['conditions']
  #sources: Promise<PodSources | undefined> = Promise.resolve(undefined)
  readonly #context: WorkerContext
  readonly #reporter: StatusReporter
  readonly #stopping = new AbortController()
  readonly #processes = new Set<ContainerProcess>()
  readonly #folder: string

  constructor(context: WorkerContext, pod: Pod, record: PodRecord) {
    this.uid = record.uid
    this.address = record.address
    this.#context = context
    this.#pod = pod
    this.#record = record
    this.#conditions = pod.status?.conditions
    this.#folder = podFolder(context.podsFolder, record.uid)
    this.#reporter = new StatusReporter({ client: context.client, pod, onError: this.#warn })
  }

  /** All containers have ended for good and the status has been reported. */
  get isFinished(): boolean {
    return this.#isFinished
  }

  /** Resolves when the worker is finished, or has left the pod to the next agent. */
  async run(): Promise<void> {
    const { podsFolder } = this.#context
    if (this.#record.isOver) {
      if (!isTerminal(this.#pod)) this.#report()
    } else {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
      saveRecord(podsFolder, this.#record)
      await this.#runUntilOver()
      this.#stopping.abort()
      if (this.#isLeft) return
      this.#change({ ...this.#record, isOver: true })
      rmSync(volumesFolder(this.#folder), { recursive: true, force: true, maxRetries: 3 })
    }
    await this.#reporter.flushed()
    this.#isFinished = true
  }

  /** Takes a newer version of the pod; one that is being deleted or has ended is stopped. */
  update(pod: Pod): void {
    this.#pod = pod
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata
    if (deletionTimestamp !== undefined) this.stop({ graceMs: deletionGracePeriodSeconds * 1000 })
    else if (isTerminal(pod)) this.stop({ graceMs: this.#graceMs })
  }

  /** Ends the pod; a later call may shorten the grace. Idempotent. */
  stop({ graceMs, failure }: StopOptions): void {
    if (this.#record.isOver) return
    if (failure !== undefined) this.#change({ ...this.#record, failure })
    this.#stopping.abort()
    const dueMs = this.#context.clock.nowMs() + graceMs
    // Each new version of a pod in deletion asks again; a second SIGTERM means “hurry” to many.
    if (dueMs >= this.#stopDueMs) return
    this.#stopDueMs = dueMs
    for (const process of this.#processes) stopContainer(process, graceMs).catch(this.#warn)
  }

  /** Orderly end of the agent: a pod that has begun fails, one that has not stays pending. */
  leave({ graceMs, failure }: Required<StopOptions>): void {
    const containers = Object.values(this.#record.containers)
    if (containers.some(({ run, end }) => run !== undefined || end !== undefined)) {
      return this.stop({ graceMs: Math.min(graceMs, this.#graceMs), failure })
    }
    this.#isLeft = true
    this.#reporter.close()
    this.#stopping.abort()
  }

  /** Gives up reporting, for an agent that must end although the API server does not answer. */
  abandon(): void {
    this.#reporter.close()
  }

  readonly #warn = (error: unknown): void => {
    this.#context.warn(this.#pod, error instanceof Error ? error.message : String(error))
  }

  get #graceMs(): number {
    return (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
  }

  async #runUntilOver(): Promise<void> {
    const refusals = refusalsOf(this.#pod)
    if (refusals.length > 0) {
      const message = `a process node cannot honour: ${refusals.join(', ')}`
      this.#record = { ...this.#record, failure: { reason: refusalReason, message } }
      return
    }
    // An agent that was killed while it ended this pod goes on with that.
    if (this.#record.failure !== undefined) this.stop({ graceMs: this.#graceMs })
    const deadline = this.#startDeadline()
    try {
      if (this.#reportMissingImages()) await sleep(TIMER_MS_MAX, this.#stopping.signal)
      else await this.#runContainers()
    } finally {
      clearTimeout(deadline)
    }
  }

  #startDeadline(): NodeJS.Timeout | undefined {
    const seconds = this.#pod.spec.activeDeadlineSeconds
    if (seconds === undefined) return undefined
    const dueMs = Date.parse(this.#record.startTime) + seconds * 1000
    const message = 'the pod was active longer than its deadline'
    const failure = { reason: 'DeadlineExceeded', message }
    const delayMs = Math.min(Math.max(0, dueMs - this.#context.clock.nowMs()), TIMER_MS_MAX)
    return setTimeout(() => this.stop({ graceMs: this.#graceMs, failure }), delayMs)
  }

  /** A pod with an unmapped image waits, as with a kubelet, until somebody deletes it. */
  #reportMissingImages(): boolean {
    const missing = allContainers(this.#pod).filter(
      ({ name, image = '' }) =>
        containerOf(this.#record, name).run === undefined && !this.#context.imageMap.has(image),
    )
    for (const { name, image } of missing) {
      const message = `image ${image} is not in the process node's image map`
      this.#changeContainer(name, { waiting: { reason: 'ErrImagePull', message } })
    }
    return missing.length > 0
  }

  async #runContainers(): Promise<void> {
    const prepared: PreparedPod = {
      ...this.#context,
      pod: this.#pod,
      podIp: this.address,
      folder: this.#folder,
      signal: this.#stopping.signal,
      onError: (error) => this.#reportConfigError(error),
    }
    this.#sources = preparePod(prepared)
    for (const container of initContainersOf(this.#pod)) {
      await this.#runContainer(prepared, container, { isInit: true })
      const { run, end } = containerOf(this.#record, container.name)
      if (run !== undefined || end?.exitCode !== 0) return
    }
    const { containers } = this.#pod.spec
    await Promise.all(
      containers.map((each) => this.#runContainer(prepared, each, { isInit: false })),
    )
  }

  async #runContainer(
    prepared: PreparedPod,
    container: Container,
    { isInit }: { readonly isInit: boolean },
  ): Promise<void> {
    const plan = async (files: RunFolder): Promise<ProcessPlan | undefined> => {
      const sources = await this.#sources
      return sources && planContainer(prepared, { container, files, sources })
    }
    await runContainer({
      ...prepared,
      container,
      isInit,
      folder: containerFolder(this.#folder, container.name),
      backoff: this.#context.backoff,
      graceMs: this.#graceMs,
      plan,
      record: () => containerOf(this.#record, container.name),
      change: (change) => this.#changeContainer(container.name, change),
      track: (process) => this.#track(process),
      onError: this.#warn,
    })
  }

  #track(process: ContainerProcess): void {
    this.#processes.add(process)
    process.ended.then(() => this.#processes.delete(process)).catch(this.#warn)
    if (!this.#stopping.signal.aborted) return
    const leftMs = Math.max(0, this.#stopDueMs - this.#context.clock.nowMs())
    stopContainer(process, leftMs).catch(this.#warn)
  }

  #reportConfigError(error: unknown): void {
    this.#warn(error)
    const message = error instanceof Error ? error.message : String(error)
    const waiting = { reason: 'CreateContainerConfigError', message }
    for (const { name } of allContainers(this.#pod)) {
      const { run, end } = containerOf(this.#record, name)
      if (run === undefined && end === undefined) this.#changeContainer(name, { waiting })
    }
  }

  #changeContainer(name: string, change: Partial<ContainerRecord>): void {
    this.#change(withContainer(this.#record, name, change))
  }

  #change(record: PodRecord): void {
    this.#record = record
    saveRecord(this.#context.podsFolder, record)
    this.#report()
  }

  #report(): void {
    const now = new Date(this.#context.clock.nowMs()).toISOString()
    const previous = this.#conditions ?? []
    const status = podStatus(this.#record, { pod: this.#pod, previous, now })
    this.#conditions = status.conditions
    this.#reporter.report(status)
  }
}
