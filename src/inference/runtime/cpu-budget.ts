import { availableParallelism } from 'node:os'
import { readTextOrNothing } from './cgroup-text.ts'

export type CpuSources = {
  /** The text of a file, or undefined when there is none. */
  readonly readText: (file: string) => string | undefined
  readonly cores: number
}

/**
 * Threads that this container may keep busy: its cgroup quota (v2, else v1), never more than the
 * cores. onnxruntime would take the host's cores and be throttled.
 */
export function cpuBudget(sources: CpuSources = hostSources()): number {
  const quota = quotaV2(sources) ?? quotaV1(sources) ?? sources.cores
  return Math.max(1, Math.min(sources.cores, Math.floor(quota)))
}

function hostSources(): CpuSources {
  return { readText: readTextOrNothing, cores: availableParallelism() }
}

/** `cpu.max` holds quota and period in microseconds, or `max` for no quota. */
function quotaV2({ readText }: CpuSources): number | undefined {
  const text = readText('/sys/fs/cgroup/cpu.max')
  if (text === undefined) return undefined
  const [quota, period] = text.trim().split(' ')
  return shareOf(quota, period)
}

function quotaV1({ readText }: CpuSources): number | undefined {
  const quota = readText('/sys/fs/cgroup/cpu/cpu.cfs_quota_us')
  const period = readText('/sys/fs/cgroup/cpu/cpu.cfs_period_us')
  return quota === undefined || period === undefined ? undefined : shareOf(quota, period)
}

function shareOf(quota: string, period: string): number | undefined {
  const share = Number(quota) / Number(period)
  return Number.isFinite(share) && share > 0 ? share : undefined
}
