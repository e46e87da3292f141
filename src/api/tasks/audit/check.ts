import type { Difference } from '../../../shared/domain/audit-differences.ts'

/** For logs and for whoever asks what could not be looked at. */
export type CheckName = 'ledger' | 'holds' | 'jobs' | 'resources' | 'artifacts' | 'departments'

/** A difference, and what to look at again to see whether it is still there. */
export type Found = { readonly subject: string; readonly difference: Difference }

/**
 * One comparison. What it finds may only be on its way: whoever asks looks `again` and reports what
 * stays.
 */
export type Check = {
  readonly name: CheckName
  /** Compares everything. */
  readonly all: () => Promise<readonly Found[]>
  /** Compares what is new since the last `all` or `changed`, and what is cheap. */
  readonly changed: () => Promise<readonly Found[]>
  readonly again: (subjects: readonly string[]) => Promise<readonly Found[]>
  /** How many things the last `all` or `changed` looked at, by what they are. */
  readonly checked: () => Partial<Checked>
}

export type Checked = {
  readonly rows: number
  readonly accounts: number
  readonly entries: number
  readonly resources: number
  /** Objects, pictures and notes of uploads. */
  readonly artifacts: number
}

/** More says no more, and would fill the memory when a whole store is away. */
const foundMax = 10_000

/** Collects what one look finds, up to a bound. */
export function collector() {
  const found: Found[] = []
  return {
    found,
    add: (more: readonly Found[]) => void found.push(...more.slice(0, foundMax - found.length)),
  }
}

/** Calls `act` with groups of values of a stream that may be endless for our memory. */
export async function inGroups<T>(
  values: AsyncIterable<T>,
  size: number,
  act: (group: readonly T[]) => Promise<void>,
): Promise<void> {
  let group: T[] = []
  for await (const value of values) {
    group.push(value)
    if (group.length < size) continue
    await act(group)
    group = []
  }
  if (group.length > 0) await act(group)
}
