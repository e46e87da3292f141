import { totalmem } from 'node:os'
import { readTextOrNothing } from './cgroup-text.ts'

export type MemorySources = {
  /** The text of a file, or undefined when there is none. */
  readonly readText: (file: string) => string | undefined
  readonly hostBytes: number
}

/**
 * Bytes that this container may hold: its cgroup limit (v2, else v1), never more than the host
 * has. The limit counts the weights that are mapped, too: pages of files that are in use.
 */
export function memoryBudgetBytes(sources: MemorySources = hostSources()): number {
  const { readText, hostBytes } = sources
  const text =
    readText('/sys/fs/cgroup/memory.max') ?? readText('/sys/fs/cgroup/memory/memory.limit_in_bytes')
  const limit = Number(text?.trim())
  // v2 writes `max` for no limit and v1 a number near 2⁶³; neither is less than the host.
  return Number.isSafeInteger(limit) && limit > 0 ? Math.min(limit, hostBytes) : hostBytes
}

function hostSources(): MemorySources {
  return { readText: readTextOrNothing, hostBytes: totalmem() }
}
