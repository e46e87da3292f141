import { argon2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../../../shared/errors.ts'

/** RFC 9106 argon2id at 46 MiB and one pass: one of the settings that ASVS 5.0 appendix C lists. */
const cost = { memory: 47_104, passes: 1, parallelism: 1, tagLength: 32 } as const
const saltBytes = 16
/** Each hash takes a core for about 50 ms and 46 MiB: more at once only makes all of them late. */
const concurrentMax = 2
const waitingMax = 32

const derive = promisify(argon2)

export type Passwords = {
  /** A PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
  readonly hash: (password: string) => Promise<string>
  /** Does the same work for `null`, an account that does not exist, and says false. */
  readonly verify: (password: string, phc: string | null) => Promise<boolean>
}

export function createPasswords(randomBytes: (size: number) => Uint8Array): Passwords {
  const limited = limitConcurrency({ concurrentMax, waitingMax })
  const hash = async (password: string): Promise<string> => {
    const salt = randomBytes(saltBytes)
    const tag = await limited(() => deriveTag(password, { ...cost, salt }))
    return formatPhc({ ...cost, salt, tag })
  }
  const decoy = formatPhc({
    ...cost,
    salt: randomBytes(saltBytes),
    tag: randomBytes(cost.tagLength),
  })
  return {
    hash,
    verify: async (password, phc) => {
      const stored = parsePhc(phc ?? decoy)
      const tag = await limited(() => deriveTag(password, stored))
      return timingSafeEqual(tag, stored.tag) && phc !== null
    },
  }
}

type Cost = {
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly tagLength: number
  readonly salt: Uint8Array
}
type Stored = Cost & { readonly tag: Uint8Array }

async function deriveTag(password: string, { salt, ...numbers }: Cost): Promise<Buffer> {
  return derive('argon2id', { message: Buffer.from(password), nonce: salt, ...numbers })
}

/** The PHC string format, https://github.com/P-H-C/phc-string-format. */
function formatPhc({ memory, passes, parallelism, salt, tag }: Stored): string {
  const numbers = `m=${memory},t=${passes},p=${parallelism}`
  return `$argon2id$v=19$${numbers}$${unpadded(salt)}$${unpadded(tag)}`
}

const phcPattern =
  /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

function parsePhc(phc: string): Stored {
  const [, memory, passes, parallelism, salt, tag] = phcPattern.exec(phc) ?? []
  if (salt === undefined || tag === undefined) throw new Error('a stored password is not PHC')
  const bytes = Buffer.from(tag, 'base64')
  return {
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: bytes,
    tagLength: bytes.length,
  }
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}

type Limit = { readonly concurrentMax: number; readonly waitingMax: number }

/** Runs at most so many at once, lets so many wait, and answers `rate.limited` beyond that. */
export function limitConcurrency(limit: Limit): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  const enter = async (): Promise<void> => {
    if (running < limit.concurrentMax) {
      running += 1
      return
    }
    if (waiting.length >= limit.waitingMax) {
      throw new AppError('rate.limited', 'too many sign-ins at once', { retryAfterSeconds: 2 })
    }
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  /** A place goes straight to the one who waits longest, so that nobody can slip in between. */
  const leave = (): void => {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
  return async (work) => {
    await enter()
    try {
      return await work()
    } finally {
      leave()
    }
  }
}
