import { readFileSync } from 'node:fs'
import type { LocalProcess } from '../../../src/local/supervisor.ts'
import { printRow } from '../print.ts'

/** Seconds of processor time by process name; `driver` is this process, with the fake api in it. */
export type ProcessorTimes = ReadonlyMap<string, number>

/** Linux counts in hundredths of a second. */
const ticksPerSecond = 100

export function readProcessorTimes(processes: readonly LocalProcess[]): ProcessorTimes {
  const { user, system } = process.cpuUsage()
  const others = processes.map(({ name, pid }) => {
    return [name, secondsOfStat(readFileSync(`/proc/${pid}/stat`, 'utf8'))] as const
  })
  return new Map([...others, ['driver', (user + system) / 1e6]])
}

/** User and system time of a line of /proc/<pid>/stat, whose second field may have spaces. */
export function secondsOfStat(line: string): number {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export type ProcessorSpan = {
  readonly before: ProcessorTimes
  readonly after: ProcessorTimes
  readonly jobs: number
}

/** It says more than the rate on a machine where others work, too. */
export function printProcessorTime({ before, after, jobs }: ProcessorSpan): void {
  const times = [...after].map(([name, seconds]) => {
    const perJobMs = ((seconds - (before.get(name) ?? 0)) * 1000) / jobs
    return `${name} ${perJobMs.toFixed(1)}`
  })
  printRow('processor time per job, ms', times.join(', '))
}
