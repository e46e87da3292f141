import type { WriteCounts, Writes } from '../api-server-writes.ts'
import { printRow } from '../print.ts'

/** `Job`: what the marks count. The others tick with time, or are lost without harm. */
export type WriteGroup = 'Job' | 'Event' | 'Lease' | 'NodeStatus'

export function groupOf(name: string): WriteGroup {
  if (name.endsWith(' events')) return 'Event'
  if (name.endsWith(' leases')) return 'Lease'
  // Heartbeats of the simulated Nodes.
  if (name.endsWith(' nodes/status')) return 'NodeStatus'
  return 'Job'
}

/** What was written between two readings; names that did not change are left out. */
export function between(before: Writes, after: Writes): Writes {
  const entries = [...after].map(
    ([name, count]) => [name, count - (before.get(name) ?? 0)] as const,
  )
  return new Map(entries.filter(([, count]) => count !== 0))
}

export function sumOf(writes: Writes, group: WriteGroup): number {
  return [...writes].reduce((sum, [name, count]) => sum + (groupOf(name) === group ? count : 0), 0)
}

export type WriteSpan = {
  readonly before: WriteCounts
  readonly after: WriteCounts
  readonly jobs: number
}

/** Prints every kind of write per job and returns their sum without what is named apart. */
export function printWritesPerJob({ before, after, jobs }: WriteSpan): number {
  const done = between(before.done, after.done)
  const perJob = (count: number) => (count / jobs).toFixed(2)
  printRow('writes to the API server per job', '')
  for (const name of [...done.keys()].toSorted()) {
    if (groupOf(name) === 'Job') printRow(`  ${name}`, perJob(done.get(name) ?? 0))
  }
  printRow('  apart: Events', perJob(sumOf(done, 'Event')))
  const ticking = sumOf(done, 'Lease') + sumOf(done, 'NodeStatus')
  printRow('  apart: Leases and Node heartbeats, not per job', String(ticking))
  const refused = between(before.refused, after.refused)
  const all = [...refused].map(([name, count]) => `${name} ${count}`)
  printRow('  refused (409 and others), not per job', all.length === 0 ? 'none' : all.join(', '))
  return sumOf(done, 'Job') / jobs
}
