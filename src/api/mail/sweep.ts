import type { Clock } from '../../shared/clock.ts'
import { type CountMail, expireMail } from './deliver.ts'
import type { MailRow, MailStore } from './store.ts'

export type SweepParts = {
  readonly store: MailStore
  readonly clock: Clock
  readonly enqueue: (id: string) => void
  readonly count: CountMail
}

/** By then a mail should have gone, or been tried, unless Redis lost it or its replica died. */
const idleMs = 10_000
const keptMs = 30 * 86_400_000
/** What one turn does: 5 seconds later comes the next. */
const sweepMax = 200
const removeMax = 500
const pagesMax = 100

/** Brings waiting mails back into the queue, and ends those that would come too late. */
export async function sweepMails(parts: SweepParts): Promise<void> {
  const { store, clock, enqueue } = parts
  const nowMs = clock.nowMs()
  for (const row of await store.findIdle(nowMs - idleMs, sweepMax)) {
    if (row.sendBeforeMs <= nowMs && row.claimedUntilMs <= nowMs) {
      await expireMail(parts, row)
      continue
    }
    // Behind all others, so that those which cannot be sent do not hold up the rest.
    await store.touch(row._id, nowMs)
    enqueue(row._id)
  }
}

/** Forgets mails that ended a month ago. */
export async function removeOldMails({ store, clock }: SweepParts): Promise<void> {
  const beforeMs = clock.nowMs() - keptMs
  for (let page = 0; page < pagesMax; page += 1) {
    const rows: readonly MailRow[] = await store.findEnded(beforeMs, removeMax)
    for (const row of rows) await store.remove(row._id)
    if (rows.length < removeMax) return
  }
}
