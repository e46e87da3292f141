import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { AppError } from '../../shared/errors.ts'
import { type ProcessOutcome, readExitCode } from './container-end.ts'
import type { ContainerRun } from './pod-record.ts'
import type { ProcessPlan } from './process-plan.ts'
import {
  childStartOf,
  findMarkedProcesses,
  processStartOf,
  sendSignal,
  signalProcess,
} from './processes.ts'

/**
 * Runs `"$@"` and writes its exit code to the file `$0`, so that the code is known even when the
 * agent was killed meanwhile. SIGTERM goes to the main process alone, as in a container, where the
 * process tree decides by itself how to end; the group is killed when the main process is gone.
 * `wait` returns early when a signal arrives, hence the loop.
 */
const WRAPPER = `
child=
stop=
trap 'stop=1; [ -n "$child" ] && kill -TERM "$child"' TERM
"$@" &
child=$!
[ -n "$stop" ] && kill -TERM "$child"
while :; do wait "$child"; code=$?; kill -0 "$child" 2>/dev/null || break; done
echo "$code" > "$0"
kill -KILL 0
`

/** The variable by which the agent finds processes of its containers among all of the machine. */
export const containerFolderVariable = 'ATELIER_NODE_CONTAINER_FOLDER'

const REATTACHED_POLL_MS = 200

/** Files of one run of one container. */
export type RunFolder = {
  readonly folder: string
  readonly logFile: string
  readonly exitFile: string
  readonly messageFile: string
}

export function runFolder(containerFolder: string, restarts: number): RunFolder {
  const folder = join(containerFolder, String(restarts))
  return {
    folder,
    logFile: join(folder, 'log'),
    exitFile: join(folder, 'exit-code'),
    messageFile: join(folder, 'termination-log'),
  }
}

export type ContainerProcess = {
  readonly run: ContainerRun
  /** Resolves when the main process is gone; never rejects. */
  readonly ended: Promise<ProcessOutcome>
}

export type StartOptions = { readonly files: RunFolder; readonly now: () => string }

/**
 * Starts a container in a process group of its own, which outlives the agent.
 * Throws `request.invalid` when the working folder is not there.
 */
export function startContainer(plan: ProcessPlan, options: StartOptions): ContainerProcess {
  const { files, now } = options
  mkdirSync(files.folder, { recursive: true })
  writeFileSync(files.messageFile, '')
  // Left by a run that a killed agent had started but not recorded.
  rmSync(files.exitFile, { force: true })
  requireFolder(plan.workingFolder)
  const log = openSync(files.logFile, 'a', 0o600)
  try {
    const child = spawn('/bin/sh', ['-c', WRAPPER, files.exitFile, ...plan.command], {
      cwd: plan.workingFolder,
      env: { ...plan.environment, [containerFolderVariable]: files.folder },
      detached: true,
      stdio: ['ignore', log, log],
    })
    const ended = new Promise<ProcessOutcome>((resolve) => {
      child.once('exit', () => resolve(recordedOutcome(files) ?? { kind: 'Exited', exitCode: 137 }))
      child.once('error', () => resolve({ kind: 'Exited', exitCode: 128 }))
    })
    const { pid } = child
    const processStart = pid === undefined ? undefined : childStartOf(pid)
    if (pid === undefined || processStart === undefined) {
      throw new AppError('platform.unavailable', 'the process could not be started')
    }
    return { run: { pid, processStart, startedAt: now() }, ended }
  } finally {
    closeSync(log)
  }
}

/**
 * Watches a process that an earlier agent started. It is no child of ours, so /proc is polled; the
 * exit code is the one the wrapper wrote.
 */
export function attachContainer(run: ContainerRun, files: RunFolder): ContainerProcess {
  const never = new AbortController().signal
  const wait = async (): Promise<ProcessOutcome> => {
    while (processStartOf(run.pid) === run.processStart) await sleep(REATTACHED_POLL_MS, never)
    return recordedOutcome(files) ?? { kind: 'Lost' }
  }
  return { run, ended: wait() }
}

/** SIGTERM to the main process, and after the grace SIGKILL to its whole group. */
export async function stopContainer(process: ContainerProcess, graceMs: number): Promise<void> {
  const timer = new AbortController()
  const over = process.ended.then(() => timer.abort())
  if (graceMs > 0) {
    signalProcess(process.run, 'SIGTERM')
    await sleep(graceMs, timer.signal)
  }
  if (!timer.signal.aborted) signalProcess(process.run, 'SIGKILL')
  await over
}

/** When the exit code was written, which may be long before a restarted agent sees it. */
export function finishedAtMs(files: RunFolder): number | undefined {
  return statSync(files.exitFile, { throwIfNoEntry: false })?.mtimeMs
}

/**
 * What the wrapper wrote. When it was killed before it could write, what it had started may still
 * run, and is killed too: a container that has ended has no processes.
 */
function recordedOutcome(files: RunFolder): ProcessOutcome | undefined {
  const exitCode = readExitCode(files.exitFile)
  if (exitCode !== undefined) return { kind: 'Exited', exitCode }
  killMarked(files.folder)
  return undefined
}

/** Kills every process that was started in this folder or below it. */
export function killMarked(folder: string): void {
  for (const { pid } of findMarkedProcesses(containerFolderVariable, folder)) {
    sendSignal(pid, 'SIGKILL')
  }
}

function requireFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return
  throw new AppError('request.invalid', `the working folder ${path} does not exist`)
}
