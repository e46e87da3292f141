import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { KubeClient } from '../../platform/kube/client.ts'
import type { Outcome } from '../../platform/kube/work-queue.ts'
import { assert } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import { type ProcessPlan, planContainer, volumesFolder } from './container-plan.ts'
import {
  type Run,
  type RunFolder,
  attachContainer,
  describeEnd,
  runFolder,
  startContainer,
  stopContainer,
} from './container-process.ts'
import { keyReader } from './environment.ts'
import type { ImageMap } from './image-map.ts'
import {
  type ContainerEnd,
  type ContainerStatus,
  type PodFailure,
  allStatuses,
  containerId,
  containerOf,
  hasBegun,
  hasEnded,
  isInitialized,
  runningProcess,
  saveStatus,
  withContainer,
  withoutStarts,
} from './pod-status.ts'
import { confirmDeletion, writePodStatus } from './pod-writes.ts'
import { type Container, type Pod, type PodStatus, allContainers, refusalsOf } from './pod.ts'
import { watchProbe } from './probes.ts'
import { type RestartBackoff, mustRestart, restartDelayMs } from './restart-policy.ts'
import { type VolumePlace, writeTokens, writeVolumes } from './volumes.ts'

export type WorkerContext = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly imageMap: ImageMap
  readonly podsFolder: string
  readonly backoff: RestartBackoff
  /** Share of a token's life after which it is renewed; the kubelet's is 0.8. */
  readonly tokenRenewalShare: number
  readonly onError: (error: unknown, pod: string) => void
}

export type StopOptions = {
  readonly graceMs: number
  /** Why the agent ends the pod; without it the exit codes decide about success. */
  readonly failure?: PodFailure | undefined
}

type EndOfRun = ContainerEnd & Pick<ContainerStatus, 'restartCount'>

const configRetryMs = 2_000

/** One pod on this machine: its status, which is kept on the disk, and its processes. */
export class PodWorker {
  readonly uid: string
  #pod: Pod
  #status: PodStatus
  #written: PodStatus | undefined
  #stopDueMs = Infinity
  #tokensDueMs = 0
  #lookAtMs = Infinity
  readonly #context: WorkerContext
  readonly #wake: () => void
  readonly #folder: string
  readonly #place: VolumePlace
  readonly #runs = new Map<string, Run>()
  readonly #plans = new Map<string, ProcessPlan>()
  readonly #reported = Promise.withResolvers<void>()

  /** `wake` asks for a sync: something has changed. Processes of an earlier agent are taken over. */
  constructor(
    context: WorkerContext,
    { pod, status }: { readonly pod: Pod; readonly status: PodStatus },
    wake: () => void,
  ) {
    this.uid = pod.metadata.uid
    this.#pod = pod
    this.#status = status
    this.#context = context
    this.#wake = wake
    this.#folder = join(context.podsFolder, this.uid)
    const read = keyReader(context.client, pod.metadata.namespace)
    const claimsFolder = join(dirname(context.podsFolder), 'claims')
    const { imageMap: images } = context
    this.#place = { pod, podIp: this.address, folder: this.#folder, read, claimsFolder, images }
    for (const container of allContainers(pod.spec)) {
      const process = runningProcess(containerOf(status, container.name))
      if (process !== undefined) {
        this.#follow(container, attachContainer(process, this.#files(container.name)))
      }
    }
  }

  get address(): string {
    return this.#status.podIP ?? ''
  }

  /** All containers have ended for good. */
  get isOver(): boolean {
    return hasEnded(this.#status)
  }

  /** Takes the pod one step on: after each change, and when it asked to be looked at again. */
  async sync(pod: Pod): Promise<Outcome> {
    this.#pod = pod
    const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata
    if (deletionTimestamp !== undefined) this.stop({ graceMs: deletionGracePeriodSeconds * 1000 })
    // Somebody else has ended it, or an earlier agent was killed while it did so.
    const isEnding = hasEnded(pod.status) || this.#status.reason !== undefined
    if (isEnding) this.stop({ graceMs: this.#graceMs })
    this.#lookAtMs = Infinity
    if (this.#stopDueMs === Infinity && !this.isOver) await this.#advance()
    // What ends while the report is under way is reported by the next sync.
    const { isOver } = this
    await this.#report()
    if (!isOver) return { kind: 'RecheckAfter', ms: Math.max(0, this.#lookAtMs - this.#nowMs) }
    this.#reported.resolve()
    rmSync(volumesFolder(this.#folder), { recursive: true, force: true, maxRetries: 3 })
    if (deletionTimestamp !== undefined) await confirmDeletion(this.#context.client, pod)
    return { kind: 'Done' }
  }

  /** Ends the pod; a later call may shorten the grace. Idempotent. */
  stop({ graceMs, failure }: StopOptions): void {
    const dueMs = this.#nowMs + graceMs
    // Each new version of a pod in deletion asks again; a second SIGTERM means “hurry” to many.
    if (this.isOver || dueMs >= this.#stopDueMs) return
    this.#stopDueMs = dueMs
    this.#change(withoutStarts(this.#status, { now: this.#now, failure }))
    for (const run of this.#runs.values()) stopContainer(run, graceMs).catch(this.#warn)
  }

  /**
   * Orderly end of the agent: a pod that has begun fails, one that has not stays pending.
   * Resolves when the end has been reported.
   */
  async leave({ graceMs, failure }: StopOptions): Promise<void> {
    if (!hasBegun(this.#status)) {
      this.#stopDueMs = 0
      return
    }
    this.stop({ graceMs: Math.min(graceMs, this.#graceMs), failure })
    this.#wake()
    await this.#reported.promise
  }

  get #nowMs(): number {
    return this.#context.clock.nowMs()
  }

  get #now(): string {
    return new Date(this.#nowMs).toISOString()
  }

  get #graceMs(): number {
    return (this.#pod.spec.terminationGracePeriodSeconds ?? 30) * 1000
  }

  readonly #warn = (error: unknown): void => {
    const { namespace, name } = this.#pod.metadata
    this.#context.onError(error, `${namespace}/${name}`)
  }

  #files(name: string): RunFolder {
    return runFolder(this.#folder, name, containerOf(this.#status, name).restartCount)
  }

  async #advance(): Promise<void> {
    const refusals = refusalsOf(this.#pod)
    if (refusals.length > 0) {
      const message = `a process node cannot honour: ${refusals.join(', ')}`
      return this.stop({ graceMs: 0, failure: { reason: 'UnsupportedByProcessNode', message } })
    }
    const { imageMap } = this.#context
    const unmapped = allContainers(this.#pod.spec).find(
      ({ image = '' }) => (imageMap.get(image)?.command ?? []).length === 0,
    )
    // As with a kubelet, such a pod waits until somebody deletes it.
    if (unmapped !== undefined) {
      return this.#wait('ErrImagePull', `image ${unmapped.image} is not in the image map`)
    }
    try {
      await this.#renewTokens()
      if (!hasBegun(this.#status)) await writeVolumes(this.#place)
      for (const container of this.#nextContainers()) await this.#startWhenDue(container)
    } catch (error) {
      this.#warn(error)
      this.#wait('CreateContainerConfigError', messageOf(error))
      this.#lookAt(this.#nowMs + configRetryMs)
    }
  }

  /** Those that may run now: one after the other first, then all others together. */
  #nextContainers(): readonly Container[] {
    if (isInitialized(this.#status)) return this.#pod.spec.containers
    const hasEndedWell = ({ name }: Container) =>
      containerOf(this.#status, name).state?.terminated?.exitCode === 0
    const first = this.#pod.spec.initContainers?.find((container) => !hasEndedWell(container))
    return first === undefined ? [] : [first]
  }

  #lookAt(dueMs: number): void {
    this.#lookAtMs = Math.min(this.#lookAtMs, dueMs)
  }

  async #renewTokens(): Promise<void> {
    const { client, tokenRenewalShare: renewalShare } = this.#context
    const nowMs = this.#nowMs
    if (nowMs >= this.#tokensDueMs) {
      const wish = { client, pod: this.#pod, folder: this.#folder, nowMs, renewalShare }
      this.#tokensDueMs = await writeTokens(wish)
    }
    this.#lookAt(this.#tokensDueMs)
  }

  /** Containers that have never run say what they wait for. */
  #wait(reason: string, message: string): void {
    for (const { name, state, lastState } of allStatuses(this.#status)) {
      if (state?.waiting === undefined || lastState?.terminated !== undefined) continue
      this.#changeContainer({ name, state: { waiting: { reason, message } } })
    }
  }

  async #startWhenDue(container: Container): Promise<void> {
    const { name } = container
    const { state, lastState, restartCount } = containerOf(this.#status, name)
    if (state?.waiting === undefined) return
    const last = lastState?.terminated
    if (last === undefined) return await this.#start(container, 0)
    const delayMs = restartDelayMs(restartCount, this.#context.backoff)
    const dueMs = Date.parse(last.finishedAt ?? '') + delayMs
    if (dueMs > this.#nowMs) return this.#lookAt(dueMs)
    await this.#start(container, restartCount + 1)
  }

  async #start(container: Container, restartCount: number): Promise<void> {
    const { name, readinessProbe } = container
    const files = runFolder(this.#folder, name, restartCount)
    const plan = await this.#plan(container, files)
    if (this.#stopDueMs < Infinity) return
    const startedAt = this.#now
    // As with a kubelet, one earlier run's log is kept.
    const old = runFolder(this.#folder, name, restartCount - 2).folder
    rmSync(old, { recursive: true, force: true })
    let run: Run
    try {
      run = startContainer(plan, files)
    } catch (error) {
      const times = { startedAt, finishedAt: startedAt }
      const end = { exitCode: 128, reason: 'StartError', message: messageOf(error), ...times }
      return this.#end(container, { ...end, restartCount })
    }
    this.#changeContainer({
      name,
      restartCount,
      containerID: containerId(run.process),
      state: { running: { startedAt } },
      started: true,
      ready: readinessProbe === undefined,
    })
    this.#follow(container, run)
  }

  /** The process of a container; exec probes run in the same surroundings. */
  async #plan(container: Container, files: RunFolder): Promise<ProcessPlan> {
    const image = this.#context.imageMap.get(container.image ?? '')
    assert(image !== undefined, 'pods with unmapped images are not started')
    const context = { place: this.#place, image, files }
    const plan = this.#plans.get(files.folder) ?? (await planContainer(container, context))
    this.#plans.set(files.folder, plan)
    return plan
  }

  #follow(container: Container, run: Run): void {
    const { name, readinessProbe, livenessProbe } = container
    const over = new AbortController()
    const plan = async () => await this.#plan(container, run.files)
    const target = { container, address: this.address, plan, signal: over.signal }
    this.#runs.set(name, run)
    if (readinessProbe !== undefined) {
      const onVerdict = (ready: boolean) => this.#changeContainer({ name, ready })
      watchProbe(readinessProbe, target, onVerdict).catch(this.#warn)
    }
    if (livenessProbe !== undefined) {
      const onVerdict = (isAlive: boolean) => {
        if (!isAlive) stopContainer(run, this.#graceMs).catch(this.#warn)
      }
      watchProbe(livenessProbe, target, onVerdict).catch(this.#warn)
    }
    const onEnd = (exitCode: number | undefined) => {
      over.abort()
      this.#runs.delete(name)
      this.#plans.delete(run.files.folder)
      const { state, restartCount } = containerOf(this.#status, name)
      const startedAt = state?.running?.startedAt ?? this.#now
      const end = describeEnd(run.files, { exitCode, startedAt, nowMs: this.#nowMs })
      this.#end(container, { ...end, restartCount })
    }
    run.ended.then(onEnd).catch(this.#warn)
  }

  #end({ name }: Container, { restartCount, ...end }: EndOfRun): void {
    const isStopping = this.#stopDueMs < Infinity
    const ended = { name, restartCount, started: false, ready: false }
    const { restartPolicy, initContainers = [] } = this.#pod.spec
    const isFirst = initContainers.some((each) => each.name === name)
    if (isStopping || !mustRestart(restartPolicy, { exitCode: end.exitCode, isFirst })) {
      return this.#changeContainer({ ...ended, state: { terminated: end } })
    }
    const waiting = { reason: 'CrashLoopBackOff', message: 'it is started again later' }
    this.#changeContainer({ ...ended, state: { waiting }, lastState: { terminated: end } })
  }

  #changeContainer(change: Partial<ContainerStatus> & { readonly name: string }): void {
    this.#change(withContainer(this.#status, { ...change, now: this.#now }))
  }

  /** Throws KubeError when the status has to be written again. */
  async #report(): Promise<void> {
    const status = this.#status
    if (status === this.#written) return
    await writePodStatus(this.#context.client, this.#pod, status)
    this.#written = status
  }

  #change(status: PodStatus): void {
    // Saying the same again must wake nobody, or a pod that waits would never rest.
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return
    this.#status = status
    saveStatus(this.#folder, status)
    this.#wake()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
