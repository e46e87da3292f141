import { sleep } from '../../platform/clock/sleep.ts'
import { startBackOff } from '../../platform/kube/back-off.ts'
import { assert } from '../../shared/assert.ts'
import type { SlotState } from '../../shared/wire/pool.ts'
import { type ReadManifest, readManifest } from '../models/manifest.ts'
import { requireMemory } from '../models/memory-need.ts'
import { loadRequest, type ModelProfile, type PodModel } from '../pod/load-model.ts'
import type { Runner } from '../runner/parent.ts'
import type { GenerateRequest } from '../runner/protocol.ts'
import type { EndReason, JobRef } from '../../platform/pool-pod/assignments.ts'
import { slotMessageLengthMax, warmRetryMs } from './limits.ts'
import { warmRequests } from './warm-step.ts'

/** A base model of the pool and where its pack lies. */
export type PoolModel = { readonly name: string; readonly folder: string }

/** What jobs and slots ask of a runner. */
export type SlotRunner = Pick<Runner, 'alive' | 'childEnd' | 'load' | 'generate' | 'cancel'>

export type SlotOptions = {
  readonly runner: SlotRunner
  /** In the order in which this slot would have them. */
  readonly models: readonly PoolModel[]
  readonly profile: ModelProfile
  /** The slot's share of the pod's. */
  readonly memoryBytes: number
  readonly random: () => number
  /** The process ends. */
  readonly closed: AbortSignal
  readonly onError: (error: unknown, doing: string) => void
}

/** What a job gets of a slot. */
export type Lent = { readonly runner: SlotRunner; readonly model: PodModel }

type Loaded = { readonly name: string; readonly digest: string }

/**
 * One runner with one warm model, which does one job at a time. It is `Idle` only while its model
 * has made a picture in the process that is there now: when that process dies or a job leaves it
 * in doubt, it loads and makes one again.
 */
export class Slot {
  readonly #options: SlotOptions
  #state: SlotState['state'] = 'Loading'
  #message: string | undefined
  #job: JobRef | undefined
  /** Whose weights the runner has. */
  #loaded: Loaded | undefined
  /** Whether it has made a picture with them. */
  #warm = false
  /** The last model that was warm: it comes first when another one could not be loaded. */
  #preferred: string | undefined
  #switching: Promise<void> = Promise.resolve()
  #watched: Promise<void> | undefined
  #settled = false

  constructor(options: SlotOptions) {
    assert(options.models.length > 0, 'a slot has a model')
    this.#options = options
  }

  get isFree(): boolean {
    return this.#state === 'Idle'
  }

  /** Whether jobs can be done here: at once, or after the present one. */
  get isWorking(): boolean {
    return this.#state === 'Idle' || this.#state === 'Busy'
  }

  /** Whether it was warm or failed at least once. */
  get isSettled(): boolean {
    return this.#settled
  }

  get model(): string | undefined {
    return this.#loaded?.name
  }

  describe(): SlotState {
    const message = this.#message?.slice(0, slotMessageLengthMax)
    return {
      model: this.model ?? null,
      state: this.#state,
      ...(message !== undefined && { message }),
      job: this.#job ?? null,
    }
  }

  /** Loads a model and warms it up, for as long as it takes. Never rejects. */
  async start(): Promise<void> {
    const { closed, random } = this.#options
    const backOff = startBackOff({ ...warmRetryMs, random })
    while (!closed.aborted) {
      if (await this.#warmAny()) return this.#becomeIdle()
      this.#state = 'Failed'
      this.#settled = true
      await sleep(backOff.next(), closed)
    }
  }

  /** Lends the runner to a job; afterwards the slot is idle, or makes itself warm again. */
  async lend(
    { job, model }: { readonly job: JobRef; readonly model: PoolModel },
    action: (lent: Lent) => Promise<EndReason>,
  ): Promise<EndReason> {
    assert(this.isFree, 'a slot does one job at a time')
    this.#state = 'Busy'
    this.#job = job
    const { runner } = this.#options
    let reason: EndReason = 'Failed'
    try {
      reason = await action({ runner, model: this.#offer(model) })
      return reason
    } finally {
      const isSameChild = runner.childEnd === this.#watched
      // A child that lives on may still be broken for good: after a failure it has to show.
      const isUnharmed = isSameChild && reason !== 'Failed'
      this.#warm = reason === 'Completed' || (this.#warm && isUnharmed)
      this.#job = undefined
      this.#giveBack()
    }
  }

  /** The manifest is read for each job, so a pack that was replaced on its disk is loaded anew. */
  #offer(model: PoolModel): PodModel {
    const pack = readManifest(model.folder)
    // Whoever awaits it meets the failure.
    pack.catch(() => {})
    let loading: Promise<void> | undefined
    const load = (): Promise<void> => {
      loading ??= pack.then((read) => this.#load(model, read))
      this.#switching = loading
      return loading
    }
    return { pack, load }
  }

  #giveBack(): void {
    if (this.#loaded !== undefined && this.#warm && this.#options.runner.alive) {
      return this.#becomeIdle()
    }
    this.#state = 'Loading'
    // A cancelled job may have left its model loading.
    void this.#switching
      .catch(() => {})
      .then(() => this.start())
      .catch((error: unknown) => this.#options.onError(error, 'warming up a slot'))
  }

  #becomeIdle(): void {
    this.#state = 'Idle'
    this.#settled = true
    this.#preferred = this.model
    this.#watchChild()
  }

  /** A child that dies between two jobs is replaced before the next one. */
  #watchChild(): void {
    const { childEnd } = this.#options.runner
    if (this.#watched === childEnd) return
    this.#watched = childEnd
    childEnd
      .then(() =>
        this.#state === 'Idle' && this.#watched === childEnd ? this.#replace() : undefined,
      )
      .catch((error: unknown) => this.#options.onError(error, 'replacing a runner'))
  }

  async #replace(): Promise<void> {
    if (this.#options.closed.aborted) return
    this.#options.onError(
      new Error('the runner process of an idle slot ended'),
      'waiting for a job',
    )
    this.#state = 'Loading'
    await this.start()
  }

  /** Tries one model after the other, and keeps why the first ones did not suit. */
  async #warmAny(): Promise<boolean> {
    const faults: string[] = []
    for (const model of this.#order()) {
      try {
        await this.#warmUp(model)
        this.#message = faults.length > 0 ? faults.join('; ') : undefined
        return true
      } catch (error) {
        if (this.#options.closed.aborted) return false
        this.#options.onError(error, `warming up the model ${model.name}`)
        faults.push(`${model.name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    this.#message = faults.join('; ')
    return false
  }

  #order(): readonly PoolModel[] {
    const { models } = this.#options
    const preferred = this.model ?? this.#preferred
    const first = models.filter(({ name }) => name === preferred)
    return [...first, ...models.filter(({ name }) => name !== preferred)]
  }

  async #warmUp(model: PoolModel): Promise<void> {
    const { memoryBytes, closed } = this.#options
    const pack = await readManifest(model.folder)
    const requests = warmRequests(pack.manifest)
    // They differ in their task only.
    requireMemory(pack.manifest, { ...requests[0], imagesPerRun: 1, loras: [] }, memoryBytes)
    const wasLoaded = this.#has(model, pack)
    await this.#load(model, pack)
    try {
      await this.#makePictures(requests)
    } catch (error) {
      // Whatever is wrong with this child: it is not asked again.
      this.#loaded = undefined
      if (!wasLoaded || closed.aborted) throw error
      this.#options.onError(error, `warming up the model ${model.name}, which is loaded anew`)
      return await this.#warmUp(model)
    }
    this.#warm = true
  }

  async #makePictures(requests: readonly GenerateRequest[]): Promise<void> {
    for (const request of requests) {
      const events = { onProgress: () => {}, onImage: () => {} }
      const outcome = await this.#options.runner.generate(request, events)
      assert(outcome === 'Completed', 'nobody cancels a warm step')
    }
  }

  async #load(model: PoolModel, pack: ReadManifest): Promise<void> {
    if (this.#has(model, pack)) return
    const { runner, profile } = this.#options
    this.#loaded = undefined
    this.#warm = false
    await runner.load(loadRequest(model.folder, pack.manifest, profile))
    this.#loaded = { name: model.name, digest: pack.digest }
  }

  #has({ name }: PoolModel, { digest }: ReadManifest): boolean {
    const isLoaded = this.#loaded?.name === name && this.#loaded.digest === digest
    return isLoaded && this.#options.runner.alive
  }
}
