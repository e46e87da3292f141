import { isAppError } from '../../shared/errors.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Output } from '../../shared/crd/generation-job.ts'
import type { Report } from '../../shared/wire/internal.ts'
import type { Outcome } from '../runner/child-link.ts'
import type { Runner } from '../runner/parent.ts'
import type { GenerateRequest } from '../runner/protocol.ts'
import { fetchInputs } from './fetch-inputs.ts'
import { ImageUploader } from './image-uploader.ts'
import type { InternalApi } from './internal-api.ts'
import { InternalApiError } from './internal-api-error.ts'
import type { PodModel } from './load-model.ts'
import { PhaseTimes } from './phase-times.ts'
import { ProgressPoster, type Snapshot } from './progress-poster.ts'
import { type PodResources, readWork } from './read-work.ts'
import { retry, type RetryOptions } from './retry.ts'
import { whenAborted } from './stop-signals.ts'
import { markUploaded, showPreview, startProgress, stepForward } from './task-progress.ts'

export type AttemptOptions = PodResources & {
  readonly api: InternalApi
  readonly runner: Pick<Runner, 'generate' | 'cancel'>
  readonly model: PodModel
  /** Where the ConfigMap inputs of the job lie. */
  readonly inputsFolder: string
  readonly clock: Clock
  readonly random: () => number
  readonly startedMs: number
  /** Of the progress, where an init container has posted some before. */
  readonly firstSequence?: number | undefined
  /** SIGTERM or a cancel: end within one step and report what is there. */
  readonly stop: AbortSignal
  /** From here on nothing may be waited for: the pod is about to be killed. */
  readonly deadline: AbortSignal
  /** After a stop, how long the child may take before it is killed. */
  readonly graceMs: number
  readonly onError: (error: unknown, doing: string) => void
}

const retryMs = 60_000
/** Errors that another attempt would meet again. */
const hopeless = [
  'request.invalid',
  'inference.unsupported',
  'inference.memory_insufficient',
] as const
const progressPauseMs = 500
const heartbeatMs = 5_000

/** Does one attempt of a job and says how it ended. Never rejects: every fault is a report. */
export async function runAttempt(options: AttemptOptions): Promise<Report> {
  const attempt = new RunningAttempt(options)
  return attempt.run()
}

class RunningAttempt {
  readonly #options: AttemptOptions
  readonly #times: PhaseTimes
  readonly #poster: ProgressPoster
  readonly #uploader: ImageUploader
  #progress: Snapshot | undefined

  constructor(options: AttemptOptions) {
    this.#options = options
    this.#times = new PhaseTimes(options.clock, options.startedMs)
    this.#poster = new ProgressPoster({
      post: options.api.progress,
      pauseMs: progressPauseMs,
      heartbeatMs,
      onError: (error) => options.onError(error, 'posting progress'),
      firstSequence: options.firstSequence,
    })
    this.#uploader = new ImageUploader({
      api: options.api,
      retry: this.#retryUntil(options.deadline),
      onUploaded: (uploaded) => this.#show((progress) => markUploaded(progress, uploaded)),
      onFailure: () => options.runner.cancel({ graceMs: options.graceMs }),
    })
  }

  async run(): Promise<Report> {
    const end = await this.#work().then(
      (outcome) => ({ reason: outcome, message: '' }),
      (error: unknown) => this.#explain(error),
    )
    const { outputs, failure } = await this.#uploader.finish()
    this.#times.mark('untilUploaded')
    await this.#poster.stop()
    if (failure === undefined) return this.#report(end, outputs)
    this.#options.onError(failure, 'uploading')
    return this.#report({ reason: 'Failed', message: `upload: ${messageOf(failure)}` }, outputs)
  }

  async #work(): Promise<Outcome> {
    const { api, stop, runner, model } = this.#options
    const work = await retry(() => api.work(stop), this.#retryUntil(stop))
    this.#times.mark('untilWork')
    const pack = await model.pack
    const checked = await readWork(work, pack, this.#options)
    const { images } = checked
    this.#progress = startProgress({ ...work, family: pack.manifest.family, images })
    this.#show((progress) => progress)
    const loading = model.load()
    // Met below, after the inputs; it must not count as unhandled until then.
    loading.catch(() => {})
    const inputs = await fetchInputs(work.inputs, {
      api,
      folder: this.#options.inputsFolder,
      retry: this.#retryUntil(stop),
    })
    const request = { ...checked, inputs }
    const cancel = () => runner.cancel({ graceMs: this.#options.graceMs })
    stop.addEventListener('abort', cancel, { once: true })
    try {
      return await this.#generate(request)
    } finally {
      stop.removeEventListener('abort', cancel)
      this.#times.mark('untilGenerated')
    }
  }

  async #generate(request: GenerateRequest): Promise<Outcome> {
    const { stop, runner, model, onError } = this.#options
    await Promise.race([model.load(), whenAborted(stop)])
    this.#times.mark('untilModel')
    if (stop.aborted) return 'Cancelled'
    return runner.generate(request, {
      onProgress: (step) => {
        if (step.stepsDone > 0) this.#times.mark('untilFirstStep')
        this.#show((progress) => stepForward(progress, step))
      },
      onPreview: (jpeg) => this.#show((progress) => showPreview(progress, jpeg)),
      onImage: (image) => this.#uploader.add(image),
      onRestart: (error) => onError(error, 'generating, which goes on in a new process'),
    })
  }

  #show(change: (progress: Snapshot) => Snapshot): void {
    if (this.#progress === undefined) return
    this.#progress = change(this.#progress)
    this.#poster.update(this.#progress)
  }

  #explain(error: unknown): Pick<Report, 'reason' | 'message'> {
    if (this.#options.stop.aborted) return { reason: 'Cancelled', message: '' }
    this.#options.onError(error, 'running')
    const refused = hopeless.some((code) => isAppError(error, code)) || isInputGone(error)
    return { reason: refused ? 'InvalidInput' : 'Failed', message: messageOf(error) }
  }

  #report(end: Pick<Report, 'reason' | 'message'>, outputs: readonly Output[]): Report {
    return {
      ...end,
      outputs: [...outputs],
      stepsDone: this.#progress?.stepsDone ?? 0,
      timings: this.#times.seconds(),
    }
  }

  #retryUntil(signal: AbortSignal): RetryOptions {
    const { clock, random } = this.#options
    return { clock, random, forMs: retryMs, signal }
  }
}

/** An upload that was deleted after the job was accepted. */
function isInputGone(error: unknown): boolean {
  return error instanceof InternalApiError && error.code === 'object.not_found'
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 4096)
}
