import { argon2, timingSafeEqual } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import { normalizeIP } from '@fastify/rate-limit'
import { createFairLimit } from './fair-limit.ts'

/** RFC 9106 argon2id at 46 MiB and one pass: one of the settings that ASVS 5.0 appendix C lists. */
const cost = { memory: 47_104, passes: 1, parallelism: 1, tagLength: 32 } as const
const saltBytes = 16
/**
 * Each hash takes a core for about 50 ms and 46 MiB, and one of the four threads of libuv, which
 * files and name lookups need as well. One core is left for everything else.
 */
const concurrentMax = Math.max(1, Math.min(2, availableParallelism() - 1))
const limits = { concurrentMax, waitingMax: 64, waitingPerSenderMax: 8 } as const

const derive = promisify(argon2)

/**
 * `from` is the IP address of the request: the work is shared fairly between addresses, or networks
 * of IPv6. Without it the request stands for itself.
 */
export type Passwords = {
  /** A PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
  readonly hash: (password: string, from?: string) => Promise<string>
  /** Does the same work for `null`, an account that does not exist, and says false. */
  readonly verify: (password: string, phc: string | null) => Promise<boolean>
  /**
   * The same for a person who is looked up when their turn comes: a flood of tries, most of which
   * are refused, does not reach the database.
   */
  readonly verifyFound: <Person extends Hashed>(
    password: string,
    find: () => Promise<Person | null>,
    from: string,
  ) => Promise<{ readonly person: Person | null; readonly matches: boolean }>
}

type Hashed = { readonly passwordHash: string | null }

export function createPasswords(randomBytes: (size: number) => Uint8Array): Passwords {
  const { run, forgive } = createFairLimit(limits)
  let strangers = 0
  const stranger = (): string => `stranger ${(strangers += 1)}`
  const hash = async (password: string, from?: string): Promise<string> => {
    const salt = randomBytes(saltBytes)
    const tag = await run(from === undefined ? stranger() : normalizeIP(from), () =>
      deriveTag(password, { ...cost, salt }),
    )
    return formatPhc({ ...cost, salt, tag })
  }
  const decoy = formatPhc({
    ...cost,
    salt: randomBytes(saltBytes),
    tag: randomBytes(cost.tagLength),
  })
  const matches = async (password: string, phc: string | null): Promise<boolean> => {
    const stored = parsePhc(phc ?? decoy)
    const tag = await deriveTag(password, stored)
    return timingSafeEqual(tag, stored.tag) && phc !== null
  }
  return {
    hash,
    verify: async (password, phc) =>
      await run(stranger(), async () => await matches(password, phc)),
    verifyFound: async (password, find, ip) => {
      const from = normalizeIP(ip)
      return await run(from, async () => {
        const person = await find()
        const isRight = await matches(password, person?.passwordHash ?? null)
        if (isRight) forgive(from)
        return { person, matches: isRight }
      })
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

/** In NFC, so that it does not matter how a keyboard composes letters (NIST SP 800-63B, 3.1.1.2). */
async function deriveTag(password: string, { salt, ...numbers }: Cost): Promise<Buffer> {
  const message = Buffer.from(password.normalize('NFC'))
  return derive('argon2id', { message, nonce: salt, ...numbers })
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
