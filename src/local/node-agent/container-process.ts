import { spawn } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { AppError } from '../../shared/errors.ts'
import { type ProcessIdentity, identityOf, isAlive } from '../bootstrap/steps.mjs'
import type { ContainerEnd } from './pod-status.ts'

/**
 * Runs `"$@"` and writes its exit code to the file `$0`, so that the code is known even when the
 * agent was killed meanwhile. SIGTERM goes to the main process alone, as in a container, where the
 * process tree decides by itself how to end; the group is killed when the main process is gone.
 * `wait` returns early when a signal arrives, hence the loop. Before its exec the child is a copy
 * of the wrapper, whose handler would swallow the signal: `pass` waits for the new command line.
 */
const WRAPPER = `
child=
stop=
pass() { while cmp -s /proc/$$/cmdline "/proc/$child/cmdline"; do :; done; kill -TERM "$child"; }
trap 'stop=1; [ -n "$child" ] && pass' TERM
"$@" &
child=$!
[ -n "$stop" ] && pass
while :; do wait "$child"; code=$?; kill -0 "$child" 2>/dev/null || break; done
echo "$code" > "$0"
kill -KILL 0
`

/** The variable by which the agent finds processes of its containers among all of the machine. */
const FOLDER_VARIABLE = 'ATELIER_NODE_CONTAINER_FOLDER'
/** Limit of Kubernetes for termination messages. */
const MESSAGE_BYTES_MAX = 4096
const REATTACHED_POLL_MS = 200

/** Files of one run of one container. */
export type RunFolder = {
  readonly folder: string
  readonly logFile: string
  readonly exitFile: string
  readonly messageFile: string
}

export function runFolder(podFolder: string, container: string, restarts: number): RunFolder {
  const folder = join(podFolder, 'containers', container, String(restarts))
  return {
    folder,
    logFile: join(folder, 'log'),
    exitFile: join(folder, 'exit-code'),
    messageFile: join(folder, 'termination-log'),
  }
}

/** Everything that is needed to start one container as a process. */
export type ProcessStart = {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingFolder: string
}

/** One run of a container: the process that leads its process group. */
export type Run = {
  readonly process: ProcessIdentity
  readonly files: RunFolder
  /** Resolves with the exit code (128 + signal) or, when nobody recorded it, undefined. */
  readonly ended: Promise<number | undefined>
}

/**
 * Starts a container in a process group of its own, which outlives the agent.
 * Throws `platform.unavailable` when it cannot, as in a working folder that is not there.
 */
export function startContainer(plan: ProcessStart, files: RunFolder): Run {
  fs.mkdirSync(files.folder, { recursive: true })
  fs.writeFileSync(files.messageFile, '')
  // Left by a run that a killed agent had started but not recorded.
  fs.rmSync(files.exitFile, { force: true })
  const log = fs.openSync(files.logFile, 'a', 0o600)
  try {
    const child = spawn('/bin/sh', ['-c', WRAPPER, files.exitFile, ...plan.command], {
      cwd: plan.workingFolder,
      env: { ...plan.environment, [FOLDER_VARIABLE]: files.folder },
      detached: true,
      stdio: ['ignore', log, log],
    })
    const ended = new Promise<number>((resolve) => {
      child.once('exit', () => resolve(recordedCode(files) ?? 137))
      child.once('error', () => resolve(128))
    })
    if (child.pid === undefined) {
      throw new AppError('platform.unavailable', `nothing can be started in ${plan.workingFolder}`)
    }
    return { process: identityOf(child.pid), files, ended }
  } finally {
    fs.closeSync(log)
  }
}

/**
 * Watches a process that an earlier agent started. It is no child of ours, so it is polled; the
 * exit code is the one the wrapper wrote.
 */
export function attachContainer(process: ProcessIdentity, files: RunFolder): Run {
  const never = new AbortController().signal
  const wait = async (): Promise<number | undefined> => {
    while (isAlive(process)) await sleep(REATTACHED_POLL_MS, never)
    return recordedCode(files)
  }
  return { process, files, ended: wait() }
}

/** SIGTERM to the main process, and after the grace SIGKILL to its whole group. */
export async function stopContainer(run: Run, graceMs: number): Promise<void> {
  const { pid } = run.process
  const timer = new AbortController()
  const over = run.ended.then(() => timer.abort())
  // A process that has ended may have given its pid to a stranger, so each time look first.
  if (graceMs > 0 && isAlive(run.process)) {
    sendSignal(pid, 'SIGTERM')
    await sleep(graceMs, timer.signal)
  }
  if (isAlive(run.process)) sendSignal(-pid, 'SIGKILL')
  await over
}

/** A container's end as pods report it. */
export function describeEnd(
  files: RunFolder,
  facts: { readonly exitCode: number | undefined; readonly startedAt: string; nowMs: number },
): ContainerEnd {
  const { exitCode = 137, startedAt, nowMs } = facts
  // Written long before a restarted agent sees it, perhaps.
  const exitFile = fs.statSync(files.exitFile, { throwIfNoEntry: false })
  const reason = exitCode === 0 ? 'Completed' : 'Error'
  return {
    exitCode,
    reason: facts.exitCode === undefined ? 'ContainerLost' : reason,
    message: terminationMessage(files),
    startedAt,
    finishedAt: new Date(exitFile?.mtimeMs ?? nowMs).toISOString(),
  }
}

/** The beginning of what the process wrote, as valid UTF-8: the API server stores nothing else. */
function terminationMessage({ messageFile }: RunFolder): string | undefined {
  if (!fs.existsSync(messageFile)) return undefined
  const bytes = Buffer.alloc(MESSAGE_BYTES_MAX)
  const file = fs.openSync(messageFile, 'r')
  const length = fs.readSync(file, bytes)
  fs.closeSync(file)
  // Bytes that are no text become U+FFFD, which is longer, so the result is cut again.
  const text = Buffer.from(textOf(bytes.subarray(0, length))).subarray(0, MESSAGE_BYTES_MAX)
  return length === 0 ? undefined : textOf(text)
}

/** Leaves out a character that was cut in two. */
function textOf(bytes: Buffer): string {
  return new TextDecoder().decode(bytes, { stream: true })
}

/**
 * What the wrapper wrote. When it was killed before it could write, what it had started may still
 * run, and is killed too: a container that has ended has no processes.
 */
function recordedCode({ exitFile, folder }: RunFolder): number | undefined {
  const text = fs.existsSync(exitFile) ? fs.readFileSync(exitFile, 'utf8').trim() : ''
  if (/^\d{1,3}$/.test(text)) return Number(text)
  killMarked(folder)
  return undefined
}

/** Kills every process that was started for a container in or below this folder. Linux only. */
export function killMarked(parent: string, spared: ReadonlySet<string> = new Set()): void {
  const marker = `${FOLDER_VARIABLE}=`
  for (const entry of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const line = environmentOf(entry).find((each) => each.startsWith(marker)) ?? ''
    const folder = line.slice(marker.length)
    const isOurs = `${folder}/`.startsWith(`${parent}/`) && !spared.has(folder)
    if (isOurs) sendSignal(Number(entry), 'SIGKILL')
  }
}

function environmentOf(pid: string): readonly string[] {
  try {
    return fs.readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    return []
  }
}

function sendSignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended between the look and the signal.
  }
}
