import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { ChildLink, type Outcome } from './child-link.ts'
import type {
  ChildMessage,
  GeneratedImage,
  GenerateRequest,
  GenerationProgress,
  LoadRequest,
} from './protocol.ts'

export type RunnerEvents = {
  readonly onProgress: (progress: GenerationProgress) => void
  readonly onPreview?: (jpeg: Uint8Array) => void
  readonly onImage: (image: GeneratedImage) => void
  /** The child died of this; another one goes on. */
  readonly onRestart?: (cause: unknown) => void
}

export type RunnerOptions = {
  /** A child that says nothing for so long is ended: longer than the longest step. */
  readonly silenceMs?: number
}

const defaultSilenceMs = 600_000

/**
 * Runs jobs in a child process. When the child dies, a fresh one with the same model goes on with
 * the job once, from the first picture that is missing; when that dies too, the job fails with a
 * named error and the next job works.
 */
export class Runner {
  readonly #silenceMs: number
  /** Forked at once, so that it starts while the caller still reads its own configuration. */
  #child = new ChildLink()
  #model: LoadRequest | undefined
  #loaded: Promise<Outcome> | undefined
  #graceTimer: NodeJS.Timeout | undefined
  #cancelled = false
  #busy = false

  constructor(options: RunnerOptions = {}) {
    this.#silenceMs = options.silenceMs ?? defaultSilenceMs
  }

  /** Process id of the current child. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Whether the current child can take a request. */
  get alive(): boolean {
    return !this.#child.ended
  }

  /** Fulfilled when the current child is gone; the same promise for the same child. */
  get childEnd(): Promise<void> {
    return this.#child.exited
  }

  /** Loads the model; a second call for another one replaces the child. */
  async load(model: LoadRequest): Promise<void> {
    if (this.#loaded !== undefined || this.#child.ended) await this.#replaceChild()
    this.#model = model
    this.#loaded = this.#child.request({ type: 'Load', request: model })
    // Whoever generates next meets the error too; it must not count as unhandled until then.
    this.#loaded.catch(() => {})
    await this.#loaded
  }

  /** Makes the pictures of one job. `Cancelled` after a cancel, whether it was soft or a kill. */
  async generate(request: GenerateRequest, events: RunnerEvents): Promise<Outcome> {
    assert(!this.#busy, 'a runner works on one job at a time')
    this.#busy = true
    this.#cancelled = false
    try {
      return await this.#generate(request, events)
    } finally {
      clearTimeout(this.#graceTimer)
      this.#busy = false
    }
  }

  /**
   * Asks the job to end after the current run of the model; kills the child after `graceMs`.
   * Without a job it does nothing: it must not hit the next one.
   */
  cancel({ graceMs }: { readonly graceMs: number }): void {
    if (!this.#busy) return
    this.#cancelled = true
    this.#child.send({ type: 'Cancel' })
    clearTimeout(this.#graceTimer)
    this.#graceTimer = setTimeout(() => void this.#child.kill().catch(() => {}), graceMs)
    this.#graceTimer.unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#graceTimer)
    await this.#child.kill()
  }

  async #generate(request: GenerateRequest, events: RunnerEvents): Promise<Outcome> {
    try {
      await this.#ready()
      if (this.#cancelled) return 'Cancelled'
      return await this.#requestTwice(request, events)
    } catch (error) {
      if (this.#cancelled && this.#child.ended) return 'Cancelled'
      throw error
    }
  }

  async #requestTwice(request: GenerateRequest, events: RunnerEvents): Promise<Outcome> {
    let firstImage = request.firstImage ?? 0
    const onImage = (image: GeneratedImage) => {
      firstImage = image.index + 1
      events.onImage(image)
    }
    try {
      return await this.#requestWithWatch(request, { ...events, onImage })
    } catch (error) {
      if (this.#cancelled || !this.#child.ended) throw error
      events.onRestart?.(error)
      await this.#ready()
      return await this.#requestWithWatch({ ...request, firstImage }, events)
    }
  }

  async #ready(): Promise<void> {
    assert(this.#model !== undefined, 'load comes before generate')
    if (this.#child.ended) await this.load(this.#model)
    await this.#loaded
  }

  /** The child cannot answer during a run, so its silence is measured, not its heartbeat. */
  async #requestWithWatch(request: GenerateRequest, events: RunnerEvents): Promise<Outcome> {
    let silent = false
    const child = this.#child
    const watch = setTimeout(() => {
      silent = true
      void child.kill().catch(() => {})
    }, this.#silenceMs)
    try {
      return await child.request({ type: 'Generate', request }, (message) => {
        watch.refresh()
        passOn(message, events)
      })
    } catch (cause) {
      if (!silent) throw cause
      const message = `the runner process was silent for ${this.#silenceMs} ms and was ended`
      throw new AppError('inference.runner_failed', message, { cause })
    } finally {
      clearTimeout(watch)
    }
  }

  async #replaceChild(): Promise<void> {
    await this.#child.kill()
    this.#child = new ChildLink()
    this.#loaded = undefined
  }
}

function passOn(message: ChildMessage, events: RunnerEvents): void {
  if (message.type === 'Progress') events.onProgress(message.progress)
  if (message.type === 'Preview') events.onPreview?.(message.jpeg)
  if (message.type === 'Image') events.onImage(message.image)
}
