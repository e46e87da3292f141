import { readFileSync, readdirSync } from 'node:fs'
import type { ContainerRun } from './pod-record.ts'

/** When a process started, in clock ticks since boot; undefined when it does not run any more. */
export function processStartOf(pid: number): string | undefined {
  const { state, start } = statOf(pid)
  return state === 'Z' ? undefined : start
}

/** The same for a child of ours, which may have ended already but has not been collected yet. */
export function childStartOf(pid: number): string | undefined {
  return statOf(pid).start
}

/** Fields 3 and 22 of /proc/PID/stat; they follow the command name, which may contain anything. */
function statOf(pid: number): { readonly state?: string; readonly start?: string } {
  const stat = readProc(pid, 'stat') ?? ''
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state, start: fields[18] }
}

/** SIGTERM goes to the wrapper, which hands it on; SIGKILL goes to the whole process group. */
export function signalProcess(run: ContainerRun, signal: 'SIGTERM' | 'SIGKILL'): void {
  // A process that has ended may have given its pid to a stranger.
  if (processStartOf(run.pid) !== run.processStart) return
  sendSignal(signal === 'SIGKILL' ? -run.pid : run.pid, signal)
}

export type MarkedProcess = { readonly pid: number; readonly folder: string }

/** Processes whose environment says that they run in `parent` or below it. Linux only. */
export function findMarkedProcesses(variable: string, parent: string): readonly MarkedProcess[] {
  const marker = `${variable}=`
  return readdirSync('/proc').flatMap((entry) => {
    const pid = /^\d+$/.test(entry) ? Number(entry) : undefined
    const environment = pid === undefined ? undefined : readProc(pid, 'environ')
    const found = environment?.split('\0').find((line) => line.startsWith(marker))
    const folder = found?.slice(marker.length) ?? ''
    return pid !== undefined && `${folder}/`.startsWith(`${parent}/`) ? [{ pid, folder }] : []
  })
}

export function sendSignal(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended between the look and the signal.
  }
}

function readProc(pid: number, file: 'stat' | 'environ'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined
  }
}
