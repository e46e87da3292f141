import { readFileSync } from 'node:fs'
import type { LocalProcess } from '../../src/local/supervisor.ts'
import { printRow, printTitle } from './print.ts'

/** Resident memory of each part, MiB, from /proc; shared pages count in each process. */
export function measureMemory(processes: readonly LocalProcess[]): void {
  printTitle('Resident memory after the jobs above')
  const sizes = processes.map(({ name, pid }) => ({ name, mebibytes: residentMebibytes(pid) }))
  for (const { name, mebibytes } of sizes) printRow(name, `${mebibytes.toFixed(0)} MiB`)
  const total = sizes.reduce((sum, { mebibytes }) => sum + mebibytes, 0)
  printRow('control plane, all parts', `${total.toFixed(0)} MiB`)
}

function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) / 1024
}
