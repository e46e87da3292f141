import type { Clock } from '../../../shared/clock.ts'
import { type DifferenceKind, differenceKinds } from '../../../shared/domain/audit-differences.ts'
import type { AccountStore } from '../../features/accounts/store.ts'
import type { LeaderTask } from '../../people.ts'
import type { Auditor, AuditReport } from './auditor.ts'

export type LedgerFigures = {
  /** Age of the oldest entry that waited when the relay began its last pass; 0 when none did. */
  readonly outboxOldestSeconds: number
  /** Every kind, those with 0 included once a whole audit has finished. */
  readonly drift: ReadonlyMap<DifferenceKind, number>
  /** The last one of which no check failed; null until then. */
  readonly audit: { readonly seconds: number; readonly finishTimeMs: number } | null
}

/** The audit that the elected replica makes every minute, and what it has found last. */
export type LedgerWatch = {
  readonly task: LeaderTask
  /** This replica was elected: whatever it knew is old. */
  readonly begin: () => void
  /** A store that the relay reads from, so that we see what waits even where relaying fails. */
  readonly observe: (store: AccountStore) => AccountStore
  readonly figures: () => LedgerFigures
}

export type LedgerWatchDeps = {
  readonly auditor: Auditor
  readonly clock: Clock
  readonly log: { readonly error: (fields: object, sentence: string) => void }
}

const everyMs = 60_000
const fullEveryMs = 86_400_000
/** Of each run; the metric and the route have all of them. */
const loggedMax = 50

/** A full audit after the election and once a day, in between what is new. */
export function openLedgerWatch({ auditor, clock, log }: LedgerWatchDeps): LedgerWatch {
  let fullTimeMs: number | null = null
  let outboxOldestSeconds = 0
  let drift: LedgerFigures['drift'] = new Map()
  let last: LedgerFigures['audit'] = null
  const run = async () => {
    const startTimeMs = clock.nowMs()
    const isFull = fullTimeMs === null || startTimeMs - fullTimeMs >= fullEveryMs
    const report = await (isFull ? auditor.full() : auditor.changes())
    if (isFull) fullTimeMs = startTimeMs
    const finishTimeMs = clock.nowMs()
    const seconds = Math.max(0, finishTimeMs - startTimeMs) / 1000
    if (report.drift !== null) last = { seconds, finishTimeMs }
    drift = driftByKind(report, { isWhole: last !== null })
    for (const { check, error } of report.failed) {
      log.error({ check, err: error }, 'a check of the audit failed')
    }
    const { length: total } = report.differences
    for (const { kind, id, message } of report.differences.slice(0, loggedMax)) {
      log.error({ kind, id, difference: message, drift: total }, 'the ledger has drifted')
    }
  }
  return {
    task: { name: 'audit', everyMs, run },
    begin: () => {
      fullTimeMs = null
      drift = new Map()
      last = null
    },
    observe: (store) => ({
      ...store,
      findUnrelayed: async (limit) => {
        const found = await store.findUnrelayed(limit)
        const times = found.flatMap(({ outbox }) => outbox.map(({ timeMs }) => timeMs))
        const ageMs = times.length === 0 ? 0 : clock.nowMs() - Math.min(...times)
        outboxOldestSeconds = Math.max(0, ageMs) / 1000
        return found
      },
    }),
    figures: () => ({ outboxOldestSeconds, drift, audit: last }),
  }
}

/** Before a whole audit nobody may take what was not found for what is not there. */
function driftByKind(
  { differences }: AuditReport,
  { isWhole }: { readonly isWhole: boolean },
): LedgerFigures['drift'] {
  const found = Map.groupBy(differences, ({ kind }) => kind)
  const counts = differenceKinds.map((kind) => [kind, found.get(kind)?.length ?? 0] as const)
  return new Map(counts.filter(([, count]) => isWhole || count > 0))
}
