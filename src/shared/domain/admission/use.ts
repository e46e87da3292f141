import { countedGpus, type Owned, ownerKey } from './owner.ts'

/** Some GPUs used for some time. */
export type Spell = Owned & {
  readonly gpus: number
  readonly startMs: number
  readonly endMs: number
}

type Entry = {
  /** Decayed use at `atMs`, in GPUs. */
  readonly gpus: number
  readonly atMs: number
  readonly lastStartMs: number
}

/**
 * What departments and owners have used, the more recent the heavier: a second that is one
 * half-life old counts half. Normalised so that a steady use of g GPUs is worth g. Spells that
 * have ended are in here; those that run are added when somebody asks (`accruedGpus`).
 * As Kueue's admission fair sharing (`usageHalfLifeTime`) and Slurm's PriorityDecayHalfLife.
 */
export type Use = {
  readonly halfLifeMs: number
  /** By department name and by owner key. */
  readonly entries: ReadonlyMap<string, Entry>
}

/** Decayed so far, an entry says nothing any more. */
const FADED_GPUS = 1e-3

export function emptyUse(halfLifeMs: number): Use {
  return { halfLifeMs, entries: new Map() }
}

/** With a spell that has ended. The order in which spells come does not matter. */
export function addUse(use: Use, spell: Spell): Use {
  return addUses(use, [spell])
}

/** With many of them: the entries are copied once. */
export function addUses({ entries: before, halfLifeMs }: Use, spells: readonly Spell[]): Use {
  const entries = new Map(before)
  const use = { entries, halfLifeMs }
  for (const spell of spells) {
    for (const key of [spell.department, ownerKey(spell)])
      entries.set(key, entryAfter(use, key, spell))
  }
  return use
}

function entryAfter(use: Use, key: string, spell: Spell): Entry {
  const before = use.entries.get(key)
  const atMs = Math.max(before?.atMs ?? 0, spell.endMs)
  const gpus = gpusUsed(use, key, atMs) + accruedGpus(spell, { atMs, halfLifeMs: use.halfLifeMs })
  return { gpus, atMs, lastStartMs: Math.max(before?.lastStartMs ?? 0, spell.startMs) }
}

/** Use of a department (its name) or of an owner (its key), in GPUs. */
export function gpusUsed({ entries, halfLifeMs }: Use, key: string, nowMs: number): number {
  const entry = entries.get(key)
  return entry === undefined ? 0 : entry.gpus * decay(nowMs - entry.atMs, halfLifeMs)
}

/** When a department or owner last started a job that has ended; 0 when nobody knows. */
export function lastStartOf({ entries }: Use, key: string): number {
  return entries.get(key)?.lastStartMs ?? 0
}

/**
 * What a spell is worth later: the integral of its GPUs over exponential decay,
 * g · (2^−(t−end)/h − 2^−(t−start)/h). For one that still runs, `endMs` is now.
 */
export function accruedGpus(
  { gpus, startMs, endMs }: Pick<Spell, 'gpus' | 'startMs' | 'endMs'>,
  { atMs, halfLifeMs }: { readonly atMs: number; readonly halfLifeMs: number },
): number {
  const sinceEnd = decay(atMs - endMs, halfLifeMs)
  const sinceStart = decay(atMs - Math.min(startMs, endMs), halfLifeMs)
  return countedGpus(gpus) * (sinceEnd - sinceStart)
}

/** Without the entries that have faded: call it now and then to bound the memory. */
export function pruneUse(use: Use, nowMs: number): Use {
  const entries = [...use.entries].filter(([key, { lastStartMs: startMs }]) => {
    return gpusUsed(use, key, nowMs) >= FADED_GPUS || nowMs - startMs < use.halfLifeMs
  })
  return { ...use, entries: new Map(entries) }
}

/** Clocks that differ a little must not make use grow. */
function decay(ageMs: number, halfLifeMs: number): number {
  return 2 ** (-Math.max(0, ageMs) / halfLifeMs)
}
