import type { AdmissionInput, Turn, Turns } from './input.ts'
import type { Candidate } from './queue.ts'

/** What a plan saw of the jobs that have, or may get, a clock. */
export type Heads = {
  /** Those that were given a place. */
  readonly placed: readonly Candidate[]
  /** Of each owner the first that something there is could run: only a cap may stop it. */
  readonly first: readonly Candidate[]
  /** Of each owner the first that no cap stops either, or that has a Node reserved. */
  readonly ready: readonly Candidate[]
  /** Later turns took places that they could have had. */
  readonly passed: ReadonlySet<string>
}

/**
 * A clock goes on while its job is the first of its owner, also while a cap keeps it from starting,
 * and until a job that has a place has left the queue. Kept for any longer, whoever raised the
 * priority of each new job would have all of them entitled.
 */
export function nextTurns({ nowMs, turns }: AdmissionInput, heads: Heads): Turns {
  const next = new Map<string, Turn>()
  for (const { uid } of [...heads.placed, ...heads.first]) {
    const turn = turns.get(uid)
    if (turn !== undefined) next.set(uid, turn)
  }
  for (const { uid } of heads.ready) next.set(uid, turns.get(uid) ?? { firstMs: nowMs })
  for (const { uid } of [...heads.first, ...heads.ready]) {
    if (!heads.passed.has(uid)) continue
    const turn = next.get(uid) ?? { firstMs: nowMs }
    next.set(uid, { ...turn, passedMs: turn.passedMs ?? nowMs })
  }
  return next
}

/** From when on the job goes before all turns. */
export function entitledMs(
  { settings }: Pick<AdmissionInput, 'settings'>,
  { execution }: Candidate,
  { firstMs, passedMs = Infinity }: Turn,
): number {
  const { affinityWaitMs, overdueMs, patienceMs } = settings
  const waitMs = execution === 'Dedicated' ? patienceMs : affinityWaitMs
  return Math.min(firstMs + overdueMs, passedMs + waitMs)
}

/** When the next of these jobs that were passed will go before all turns; Infinity: none will. */
export function nextEntitledMs(
  input: Pick<AdmissionInput, 'nowMs' | 'queue' | 'settings'>,
  turns: Turns,
  counts: (job: Candidate) => boolean,
): number {
  const moments = [...turns].flatMap(([uid, turn]) => {
    const job = input.queue.get(uid)
    if (job === undefined || turn.passedMs === undefined || !counts(job)) return []
    return entitledMs(input, job, turn)
  })
  return moments
    .filter((ms) => ms > input.nowMs)
    .reduce((least, ms) => Math.min(least, ms), Infinity)
}
