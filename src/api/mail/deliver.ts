import {
  type Letter,
  type MailTransport,
  sendMsMax,
  type SendOutcome,
} from '../../platform/mail/transport.ts'
import type { Seal } from '../../platform/seal/seal.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { unreachable } from '../../shared/assert.ts'
import type { CoreLog } from '../core-parts.ts'
import type { MailContent } from './mailer.ts'
import { openSealedMail } from './sealed-mail.ts'
import type { MailRow, MailStore } from './store.ts'
import { renderMail } from './templates/render.ts'

export type DeliveryParts = {
  readonly store: MailStore
  readonly transport: MailTransport | null
  readonly seal: Seal
  readonly clock: Clock
  readonly publicUrl: string
  readonly mailFrom: string
  readonly count: CountMail
  readonly log: Pick<CoreLog, 'warn'>
}

export type CountMail = (
  template: MailContent['template'],
  outcome: 'sent' | 'postponed' | 'refused' | 'expired',
) => void

/** Longer than the transport tries, so that a mail which is on its way has one sender. */
const claimMs = sendMsMax + 15_000

/**
 * Sends a waiting mail; anything else is left alone, so it may run twice and at the same time.
 * A crash between the server's yes and our mark sends it again, with the same Message-ID.
 * Throws `platform.unavailable` when the server wants another attempt, and
 * `platform.misconfigured` where no server is set.
 */
export function createDelivery(parts: DeliveryParts): (id: string) => Promise<void> {
  const { store, transport, clock } = parts
  return async (id) => {
    // Another replica has one, or nobody would have added the task: it is for that one to take.
    if (transport === null) throw new AppError('platform.misconfigured', 'no mail server is set')
    const nowMs = clock.nowMs()
    const row = await store.claim(id, { nowMs, untilMs: nowMs + claimMs })
    if (row === null) return
    if (row.sendBeforeMs <= nowMs) return await expireMail(parts, row)
    await settle(parts, row, await transport.send(letterOf(parts, row)))
  }
}

/** Marks a mail that would come too late. */
export async function expireMail(
  { store, clock, count }: Pick<DeliveryParts, 'store' | 'clock' | 'count'>,
  { _id, template }: MailRow,
): Promise<void> {
  await store.end(_id, { state: 'Failed', fault: 'expired', nowMs: clock.nowMs() })
  count(template, 'expired')
}

async function settle(parts: DeliveryParts, row: MailRow, outcome: SendOutcome): Promise<void> {
  const { store, clock, count, log } = parts
  const { _id: id, template } = row
  const nowMs = clock.nowMs()
  switch (outcome.kind) {
    case 'Sent':
      await store.end(id, { state: 'Sent', fault: null, nowMs })
      return count(template, 'sent')
    case 'Refused':
      await store.end(id, { state: 'Failed', fault: outcome.code, nowMs })
      log.warn({ mailId: id, template, code: outcome.code }, 'the mail server refused a mail')
      return count(template, 'refused')
    case 'Postponed':
      await store.release(id, { fault: outcome.code, nowMs })
      count(template, 'postponed')
      throw new AppError('platform.unavailable', `the mail server said ${outcome.code}`)
    default:
      return unreachable(outcome)
  }
}

function letterOf({ seal, publicUrl, mailFrom }: DeliveryParts, row: MailRow): Letter {
  const { to, content } = openSealedMail(seal, row.sealed ?? '')
  const { language } = row
  return {
    // The same at every attempt, as is the date: mail programs fold copies by it.
    messageId: `<${row._id}@${new URL(publicUrl).hostname}>`,
    date: new Date(row.creationTimeMs),
    from: mailFrom,
    to,
    ...renderMail(content, { language, publicUrl }),
    headers: {
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      'Content-Language': language,
    },
  }
}
