import { createHash } from 'node:crypto'
import type { Database } from '../../platform/mongo/database.ts'
import { openMailTransport } from '../../platform/mail/transport.ts'
import type { Seal } from '../../platform/seal/seal.ts'
import type { Clock } from '../../shared/clock.ts'
import type { CoreLog } from '../core-parts.ts'
import type { ApiMetrics } from '../metrics.ts'
import type { LeaderTask } from '../people.ts'
import type { AddTask, TaskHandler } from '../tasks/queue-tasks.ts'
import { createDelivery } from './deliver.ts'
import type { Mail, MailContent, Mailer } from './mailer.ts'
import { sealMail } from './sealed-mail.ts'
import { createMailStore, type MailStore } from './store.ts'
import { sweepMails, removeOldMails } from './sweep.ts'

export type MailDeps = {
  readonly database: Database
  readonly seal: Seal
  readonly clock: Clock
  readonly publicUrl: string
  /** Without it mails wait in the database until they are of no use any more. */
  readonly smtpUrl?: string | undefined
  readonly mailFrom: string
  readonly addTask: AddTask
  readonly metrics: Pick<ApiMetrics, 'mails'>
  readonly log: Pick<CoreLog, 'warn'>
}

export type MailParts = {
  readonly mailer: Mailer
  readonly handlers: readonly TaskHandler[]
  readonly leaderTasks: readonly LeaderTask[]
  /** To be called when no handler runs any more. */
  readonly close: () => void
}

/** Everything about mail: storing, sending, bringing back what was lost, clearing away. */
export function openMail(deps: MailDeps): MailParts {
  const { database, smtpUrl, addTask, metrics, log } = deps
  const store = createMailStore(database)
  const transport = smtpUrl === undefined ? null : openMailTransport(smtpUrl)
  if (transport === null) log.warn({}, 'mails wait: there is no ATELIER_SMTP_URL')
  const count = (template: MailContent['template'], outcome: string): void =>
    metrics.mails.inc({ template, outcome })
  const enqueue = (id: string): void => {
    if (transport !== null) addTask('mail.send', id)
  }
  const parts = { ...deps, store, transport, enqueue, count }
  return {
    mailer: { send: async (mail) => await storeMail(mail, parts) },
    handlers: [{ task: 'mail.send', run: createDelivery(parts) }],
    leaderTasks: [
      { name: 'sweep-mails', everyMs: 5000, run: async () => await sweepMails(parts) },
      {
        name: 'remove-old-mails',
        everyMs: 3_600_000,
        run: async () => await removeOldMails(parts),
      },
    ],
    close: () => transport?.close(),
  }
}

type Storing = {
  readonly store: MailStore
  readonly seal: Seal
  readonly clock: Clock
  readonly enqueue: (id: string) => void
}

async function storeMail(mail: Mail, { store, seal, clock, enqueue }: Storing): Promise<void> {
  const { to, language, content } = mail
  const nowMs = clock.nowMs()
  const id = createHash('sha256').update(mail.id).digest('hex')
  await store.insert({
    _id: id,
    state: 'Waiting',
    sealed: sealMail(seal, { to, content }),
    template: content.template,
    language,
    attempts: 0,
    fault: null,
    claimedUntilMs: 0,
    sendBeforeMs: nowMs + usefulMsOf(content),
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    sentTimeMs: null,
  })
  enqueue(id)
}

const minuteMs = 60_000
const dayMs = 86_400_000
/** How long news are news. */
const newsMs = 3 * dayMs

/** A code or an invitation that has expired is not sent. */
function usefulMsOf(content: MailContent): number {
  if ('minutes' in content) return content.minutes * minuteMs
  return 'days' in content ? content.days * dayMs : newsMs
}
