import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childEnvironment } from '../platform/config/environment.ts'
import { AppError } from '../shared/errors.ts'
import { tailOf } from './bootstrap/steps.mjs'
import type { RunRecord } from './run-record.ts'

/** A program to run as a child process, and how to see that it is ready. */
export type ProcessSpec = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Asked every 50 ms until it is true; may reject while the program is still deaf. */
  readonly ready: (signal: AbortSignal) => Promise<boolean>
  readonly readyTimeoutMs?: number
  readonly stopSignal?: NodeJS.Signals
  readonly stopGraceMs?: number
  /** Told when it ends though nobody asked. Absent: that is the failure of the environment. */
  readonly onUnexpectedEnd?: (failure: AppError) => void
}

export type LocalProcess = {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Resolves with “exit code 1” or “SIGKILL” when it ends, for whichever reason. */
  readonly ended: Promise<string>
  /** Asks it to end, and kills it after its grace. Idempotent. */
  readonly stop: () => Promise<void>
  readonly kill: (signal: NodeJS.Signals) => void
  /** From now on its end is no failure of the environment. */
  readonly expectEnd: () => void
}

const readyPollMs = 50
const askTimeoutMs = 2000
const readyTimeoutMs = 60_000
const stopGraceMs = 10_000
/** After SIGKILL nothing can stay but a process in an uninterruptible system call. */
const killWaitMs = 5000

export type SupervisorOptions = {
  readonly logFolder: string
  readonly record: RunRecord
  readonly signal: AbortSignal
}

/**
 * Starts child processes, each with its own log file and in its own session, so that Ctrl-C on the
 * terminal reaches only us; stops them in reverse order. It restarts nothing: restartable.ts does.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  #running: readonly LocalProcess[] = []
  /** Process ids whose end nobody is surprised by. */
  readonly #expected = new Set<number>()
  #stopped = false
  readonly #failure = Promise.withResolvers<AppError>()

  constructor(options: SupervisorOptions) {
    this.#options = options
    mkdirSync(options.logFolder, { recursive: true })
  }

  /** Resolves when a process ended for good that nobody asked to end. */
  get failure(): Promise<AppError> {
    return this.#failure.promise
  }

  /** The environment cannot go on. Only the first time counts. */
  fail(failure: AppError): void {
    this.#failure.resolve(failure)
  }

  /** From now on nothing can be started. */
  get isStopping(): boolean {
    return this.#stopped || this.#options.signal.aborted
  }

  get processes(): readonly LocalProcess[] {
    return this.#running
  }

  async start(spec: ProcessSpec): Promise<LocalProcess> {
    this.#refuseWhenStopped(spec)
    const running = await this.#spawn(spec)
    this.#running = [...this.#running, running]
    try {
      this.#refuseWhenStopped(spec)
      await this.#untilReady(spec, running)
    } catch (error) {
      await running.stop()
      throw error
    }
    void running.ended.then((how) => this.#noticeEnd(spec, running, how)).catch(() => undefined)
    return running
  }

  /** Last started, first stopped. Nothing can be started afterwards. */
  async stopAll(): Promise<void> {
    this.#stopped = true
    for (const running of this.#running) running.expectEnd()
    for (const running of this.#running.toReversed()) await running.stop()
  }

  async #spawn(spec: ProcessSpec): Promise<LocalProcess> {
    const logFile = join(this.#options.logFolder, `${spec.name}.log`)
    const child = spawnLogged(spec, logFile)
    const ended = endOf(child)
    await Promise.race([spawned(child), ended])
    const pid = child.pid
    if (pid === undefined) {
      throw new AppError('platform.unavailable', `${spec.name}: ${await ended}`)
    }
    this.#options.record.add(spec.name, pid)
    void ended.then(() => this.#forget(pid)).catch(() => undefined)
    const expectEnd = (): void => void this.#expected.add(pid)
    return {
      name: spec.name,
      pid,
      logFile,
      ended,
      expectEnd,
      kill: (signal) => void child.kill(signal),
      stop: () => {
        expectEnd()
        return stopProcess(child, ended, spec)
      },
    }
  }

  /** Another part may have failed while this one was being prepared. */
  #refuseWhenStopped({ name }: ProcessSpec): void {
    this.#options.signal.throwIfAborted()
    if (this.#stopped) throw new AppError('platform.unavailable', `${name}: all is being stopped`)
  }

  #forget(pid: number): void {
    this.#options.record.remove(pid)
    this.#running = this.#running.filter((running) => running.pid !== pid)
  }

  async #untilReady(spec: ProcessSpec, running: LocalProcess): Promise<void> {
    const limit = AbortSignal.timeout(spec.readyTimeoutMs ?? readyTimeoutMs)
    const over = AbortSignal.any([limit, this.#options.signal])
    let end: string | undefined
    void running.ended.then((how) => (end = how)).catch(() => undefined)
    while (!(await asked(spec, over))) {
      this.#options.signal.throwIfAborted()
      if (end !== undefined) throw await failed(running, `ended while starting (${end})`)
      if (limit.aborted) throw await failed(running, 'is not ready in time')
      await sleep(readyPollMs)
    }
  }

  async #noticeEnd(spec: ProcessSpec, running: LocalProcess, how: string): Promise<void> {
    if (this.#expected.delete(running.pid)) return
    const failure = await failed(running, `ended unexpectedly (${how})`)
    if (spec.onUnexpectedEnd === undefined) this.fail(failure)
    else spec.onUnexpectedEnd(failure)
  }
}

function asked(spec: ProcessSpec, over: AbortSignal): Promise<boolean> {
  const signal = AbortSignal.any([over, AbortSignal.timeout(askTimeoutMs)])
  return spec.ready(signal).catch(() => false)
}

async function failed({ name, logFile }: LocalProcess, what: string): Promise<AppError> {
  const tail = await tailOf(logFile)
  return new AppError('platform.unavailable', `${name} ${what}\nlog: ${logFile}\n${tail}`)
}

function spawnLogged(spec: ProcessSpec, logFile: string): ChildProcess {
  if (existsSync(logFile)) renameSync(logFile, `${logFile}.1`)
  // The child writes to the file itself: its last words are there even when we are gone.
  const log = openSync(logFile, 'a')
  try {
    return spawn(spec.command, spec.args, {
      cwd: spec.cwd,
      env: childEnvironment(spec.environment ?? {}),
      stdio: ['ignore', log, log],
      detached: true,
    })
  } finally {
    closeSync(log)
  }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => void child.once('spawn', resolve))
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
}

async function stopProcess(
  child: ChildProcess,
  ended: Promise<string>,
  spec: ProcessSpec,
): Promise<void> {
  child.kill(spec.stopSignal ?? 'SIGTERM')
  if (await endsWithin(ended, spec.stopGraceMs ?? stopGraceMs)) return
  child.kill('SIGKILL')
  await endsWithin(ended, killWaitMs)
}

async function endsWithin(ended: Promise<string>, limitMs: number): Promise<boolean> {
  const over = new AbortController()
  const late = sleep(limitMs, false, { signal: over.signal }).catch(() => false)
  const result = await Promise.race([ended.then(() => true), late])
  over.abort()
  return result
}
