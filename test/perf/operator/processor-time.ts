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
  /** The rate that is wanted, where there is one. */
  readonly jobsPerSecond?: number
}

/** It says more than the rate on a machine that is small, or where others work, too. */
export function printProcessorTime({ before, after, jobs, jobsPerSecond }: ProcessorSpan): void {
  const perJobMs = [...after].map(([name, seconds]) => {
    return [name, ((seconds - (before.get(name) ?? 0)) * 1000) / jobs] as const
  })
  const sumMs = perJobMs.reduce((sum, [, ms]) => sum + ms, 0)
  const parts = perJobMs.map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
  printRow('processor time per job, ms', `${sumMs.toFixed(1)}: ${parts.join(', ')}`)
  if (jobsPerSecond === undefined) return
  const processors = ((sumMs / 1000) * jobsPerSecond).toFixed(1)
  printRow(`processors for ${jobsPerSecond.toFixed(1)} jobs/s at that cost`, processors)
}
