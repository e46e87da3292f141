import { timingSafeEqual } from 'node:crypto'
import { normalizeIP } from '@fastify/rate-limit'
import type { Database } from '../../../platform/mongo/database.ts'
import type { Seal } from '../../../platform/seal/seal.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import { AppError } from '../../../shared/errors.ts'
import { addressKey } from '../../../shared/wire/text.ts'
import type { LeaderTask } from '../../people.ts'
import { drawDigits } from './digits.ts'
import { codeLimits } from './limits.ts'
import { createSendStore, type SendCounter, type SendRefusal } from './send-store.ts'
import { createCodeStore } from './store.ts'

/** What a code proves, and for which address. */
export type CodeSubject =
  | { readonly purpose: 'SignUp' | 'PasswordReset'; readonly email: string }
  /** Good for this person only. */
  | { readonly purpose: 'EmailChange'; readonly email: string; readonly userId: string }

/** A code that was right, but is not used up yet. */
export type RightCode = { readonly id: string; readonly digest: string }

/** Six digits by mail: they prove that somebody reads what comes to an address. */
export type Codes = {
  /**
   * Counts a mail to this address for this network, before anything is looked up. Throws
   * `rate.limited`, for known and unknown addresses alike.
   */
  readonly countSend: (wish: {
    readonly email: string
    readonly ip: string | undefined
  }) => Promise<void>
  /** A new code, for the mail only. The one before and its tries are forgotten. */
  readonly issue: (subject: CodeSubject) => Promise<string>
  /** Counts a try, then compares. Throws `code.invalid`, never saying why. */
  readonly check: (subject: CodeSubject, code: string) => Promise<RightCode>
  /** Uses a right code up, for one of all callers; throws `code.invalid` for the others. */
  readonly use: (right: RightCode) => Promise<void>
  readonly leaderTasks: readonly LeaderTask[]
}

export type CodeParts = {
  readonly database: Database
  readonly seal: Seal
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** False spares the limit per network, for tests that send thousands of requests. */
  readonly rateLimits: boolean
}

export function createCodes(parts: CodeParts): Codes {
  const { database, seal, clock, randomBytes } = parts
  const store = createCodeStore(database)
  const sends = createSendStore(database)
  const idOf = (subject: CodeSubject): string => idOfSubject(seal, subject)
  const digestOf = (id: string, code: string): string => seal.digest(`code ${id}`, code)
  return {
    countSend: async (wish) => {
      for (const counter of countersOf(parts, wish)) {
        const refusal = await sends.count(counter, clock.nowMs())
        if (refusal !== null) throw limited(refusal, clock.nowMs())
      }
    },
    issue: async (subject) => {
      const code = drawDigits(randomBytes)
      const _id = idOf(subject)
      const expiresMs = clock.nowMs() + codeLimits.lifeMs
      await store.put({ _id, digest: digestOf(_id, code), expiresMs })
      return code
    },
    check: async (subject, code) => {
      const id = idOf(subject)
      const digest = digestOf(id, code)
      const row = await store.countTry(id, clock.nowMs())
      const stored = row?.digest ?? digestOf(id, '')
      const matches = timingSafeEqual(Buffer.from(digest), Buffer.from(stored))
      if (row === null || !matches) throw invalidCode()
      return { id, digest }
    },
    use: async ({ id, digest }) => {
      if (!(await store.take(id, digest))) throw invalidCode()
    },
    leaderTasks: [
      {
        name: 'remove-expired-codes',
        everyMs: 60_000,
        run: async () => {
          await store.removeExpired(clock.nowMs())
          await sends.removeExpired(clock.nowMs())
        },
      },
    ],
  }
}

/** One sentence for wrong, expired, used, replaced, tried too often and never sent. */
export function invalidCode(): AppError {
  return new AppError('code.invalid', 'the code is wrong or has expired; ask for a new one')
}

function idOfSubject(seal: Seal, subject: CodeSubject): string {
  const userId = subject.purpose === 'EmailChange' ? subject.userId : null
  const key = JSON.stringify([addressKey(subject.email), userId])
  return `${subject.purpose}:${seal.digest('code address', key)}`
}

/** The network (of IPv6 the /64) first: somebody who is over their own limit must not use up another's. */
function countersOf(
  { seal, rateLimits }: CodeParts,
  { email, ip }: { readonly email: string; readonly ip: string | undefined },
): readonly SendCounter[] {
  const { sendsMax, windowMs, sendsPerDayMax, dayMs } = codeLimits
  const shortly = { max: sendsMax, windowMs }
  const address = seal.digest('code sends', addressKey(email))
  const ofAddress = {
    _id: `address:${address}`,
    limits: [{ max: sendsPerDayMax, windowMs: dayMs }, shortly],
  }
  if (!rateLimits || ip === undefined) return [ofAddress]
  const network = seal.digest('code sends', normalizeIP(ip))
  return [{ _id: `network:${network}`, limits: [shortly] }, ofAddress]
}

function limited({ limit, untilMs }: SendRefusal, nowMs: number): AppError {
  return new AppError('rate.limited', 'too many codes were asked for; wait and try again', {
    details: { limit: limit.max, count: limit.max },
    retryAfterSeconds: Math.max(1, Math.ceil((untilMs - nowMs) / 1000)),
  })
}
