import { sleep } from '../platform/clock/sleep.ts'
import { assert } from '../shared/assert.ts'
import { AppError } from '../shared/errors.ts'
import type { LocalProcess, ProcessSpec, Supervisor } from './supervisor.ts'

/** A process that tests may kill and start again with the same arguments. */
export type Restartable = {
  readonly name: string
  readonly pid: () => number
  /** Sends SIGKILL and resolves when the process is gone; it stays so until `restart`. */
  readonly kill: () => Promise<void>
  /** Starts it anew and resolves when it is ready; stops it first when it still runs. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** What is done when the process ends by itself. */
export type RestartPolicy = {
  /** Before the first, second, … restart in a row. After the last one it is given up. */
  readonly pausesMs: readonly number[]
  /** A process that was ready for so long has recovered: the row begins anew. */
  readonly settledMs: number
  /** Told in one line why, and when it is started again. */
  readonly print: (line: string) => void
}

/** As the kubelet restarts a container: at once, and then later and later. */
export const likeDeployment = {
  pausesMs: [0, 1000, 2000, 4000, 8000],
  settledMs: 60_000,
} as const satisfies Omit<RestartPolicy, 'print'>

/** Resolves when the process is ready. Without a policy its end by itself is a failure of all. */
export async function startRestartable(
  supervisor: Supervisor,
  spec: ProcessSpec,
  policy?: RestartPolicy,
): Promise<Restartable> {
  const part = new Part(supervisor, spec, policy)
  await part.start()
  return {
    name: spec.name,
    pid: () => part.process.pid,
    kill: async () => {
      const dying = await part.takeOver()
      dying.expectEnd()
      dying.kill('SIGKILL')
      await dying.ended
    },
    restart: async () => {
      await (await part.takeOver()).stop()
      await part.start()
    },
    stop: async () => await (await part.takeOver()).stop(),
  }
}

class Part {
  readonly #supervisor: Supervisor
  readonly #spec: ProcessSpec
  readonly #policy: RestartPolicy | undefined
  #process: LocalProcess | undefined
  #inARow = 0
  #settling: NodeJS.Timeout | undefined
  #revival: Promise<void> = Promise.resolve()
  #takenOver = new AbortController()

  constructor(supervisor: Supervisor, spec: ProcessSpec, policy: RestartPolicy | undefined) {
    this.#supervisor = supervisor
    this.#spec = spec
    this.#policy = policy
  }

  get process(): LocalProcess {
    assert(this.#process !== undefined, 'a part is started before anybody gets it')
    return this.#process
  }

  async start(): Promise<void> {
    this.#takenOver = new AbortController()
    await this.#start(this.#takenOver.signal)
  }

  /** From now on it is not started again by itself. Returns the process that there is or was. */
  async takeOver(): Promise<LocalProcess> {
    this.#takenOver.abort()
    clearTimeout(this.#settling)
    await this.#revival
    return this.process
  }

  async #start(takenOver: AbortSignal): Promise<void> {
    const policy = this.#policy
    if (policy === undefined) {
      this.#process = await this.#supervisor.start(this.#spec)
      return
    }
    const onUnexpectedEnd = (failure: AppError): void => {
      clearTimeout(this.#settling)
      this.#revival = this.#revive(failure, policy, takenOver)
    }
    this.#process = await this.#supervisor.start({ ...this.#spec, onUnexpectedEnd })
    this.#settling = setTimeout(() => (this.#inARow = 0), policy.settledMs).unref()
  }

  /** With the signal of the process that ended: its end may be noticed after the next start. */
  async #revive(
    failure: AppError,
    { pausesMs, print }: RestartPolicy,
    takenOver: AbortSignal,
  ): Promise<void> {
    const isOver = () => takenOver.aborted || this.#supervisor.isStopping
    let cause = failure
    while (!isOver()) {
      const pauseMs = pausesMs[this.#inARow]
      if (pauseMs === undefined) return this.#supervisor.fail(cause)
      this.#inARow += 1
      const log = `${this.process.logFile}.1`
      print(`  ! ${firstLineOf(cause)}; started again ${whenOf(pauseMs)}, its log is then ${log}`)
      await sleep(pauseMs, takenOver)
      if (isOver()) return
      try {
        return await this.#start(takenOver)
      } catch (error) {
        cause = toFailure(error)
      }
    }
  }
}

function firstLineOf({ message }: Error): string {
  return message.split('\n', 1)[0] ?? ''
}

function whenOf(pauseMs: number): string {
  return pauseMs === 0 ? 'at once' : `in ${pauseMs / 1000} s`
}

function toFailure(error: unknown): AppError {
  if (error instanceof AppError) return error
  return new AppError('platform.unavailable', String(error), { cause: error })
}
