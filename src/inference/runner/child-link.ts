import { type ChildProcess, fork } from 'node:child_process'
import process from 'node:process'
import { AppError } from '../../shared/errors.ts'
import {
  type ChildMessage,
  isChildMessage,
  type ParentMessage,
  unpackSentError,
} from './protocol.ts'

const childFile = new URL('./child.ts', import.meta.url)
const stderrTailLength = 4_000
/**
 * MiB. Tensors and pictures lie outside of V8's heap, which knows only their small handles and
 * would let them pile up: with a small young generation they go soon, and the process keeps its
 * size over hundreds of jobs, at the same time per job.
 */
const youngGenerationOption = '--max-semi-space-size=1'

export type Outcome = 'Completed' | 'Cancelled'

/** One life of a child process: it answers requests one at a time until it ends. */
export class ChildLink {
  readonly #process: ChildProcess
  #stderrTail = ''
  #ended = false
  #onMessage: (message: ChildMessage) => void = () => {}
  #onEnd: (error: AppError) => void = () => {}
  readonly #exited: Promise<void>

  constructor() {
    this.#process = fork(childFile, {
      serialization: 'advanced',
      execArgv: [...process.execArgv, youngGenerationOption],
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.#process.stderr?.setEncoding('utf8')
    this.#process.stderr?.on('data', (text: string) => this.#keepTail(text))
    this.#process.on('message', (message: unknown) => {
      if (isChildMessage(message)) this.#onMessage(message)
    })
    this.#exited = new Promise((resolve) => {
      this.#process.on('error', (cause) => this.#end(`could not run: ${cause.message}`, resolve))
      // After the output was read to its end, so that the tail is whole.
      this.#process.on('close', (code, signal) =>
        this.#end(signal === null ? `exit code ${code}` : `signal ${signal}`, resolve),
      )
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Fulfilled when the process is gone. */
  get exited(): Promise<void> {
    return this.#exited
  }

  get pid(): number | undefined {
    return this.#process.pid
  }

  /**
   * Sends one request and waits for its end. Rejects with the child's own error, or with
   * `inference.runner_failed` and the tail of its stderr when it dies.
   */
  async request(
    message: ParentMessage,
    onEvent: (message: ChildMessage) => void = () => {},
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#failure('it had ended before'))
      this.#onEnd = reject
      this.#onMessage = (answer) => {
        if (answer.type === 'Done') return resolve(answer.outcome)
        if (answer.type === 'Failed') return reject(unpackSentError(answer.error))
        onEvent(answer)
      }
      this.send(message)
    })
  }

  send(message: ParentMessage): void {
    // A child that is gone is noticed by its end, not by the failed write.
    if (this.#process.connected) this.#process.send(message, () => {})
  }

  /** Ends the process at once, also in the middle of a run, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exited
  }

  #keepTail(text: string): void {
    this.#stderrTail = (this.#stderrTail + text).slice(-stderrTailLength)
  }

  #end(how: string, resolve: () => void): void {
    this.#ended = true
    this.#onEnd(this.#failure(how))
    resolve()
  }

  #failure(how: string): AppError {
    const tail = this.#stderrTail.trim()
    const output = tail === '' ? '' : `; its last words: ${tail}`
    return new AppError('inference.runner_failed', `the runner process ended (${how})${output}`)
  }
}
