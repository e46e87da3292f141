import { normalizeIP } from '@fastify/rate-limit'
import type { Counters } from '../../../platform/redis/counters.ts'
import type { Seal } from '../../../platform/seal/seal.ts'
import { AppError } from '../../../shared/errors.ts'
import { addressKey } from '../../../shared/wire/text.ts'

/**
 * Wrong passwords that are let through. Few from one place (of IPv6 a /64 network) for one
 * address; many more for one address from everywhere, which stops a spread guesser. Whoever
 * owns the address could be kept out by that second limit, so it does not count for a place
 * from which they signed in lately: to lock somebody out of a new place takes ten places and a
 * hundred tries in every hour.
 */
export const signInLimits = {
  perPlaceMax: 10,
  perPlaceMs: 15 * 60_000,
  perAddressMax: 100,
  perAddressMs: 60 * 60_000,
  knownPlaceMs: 30 * 86_400_000,
} as const

/** Keeps count of who tries which address from where; knows neither password nor outcome. */
export type SignInAttempts = {
  /**
   * Counts a try before its password is looked at, so that many at once cannot slip by.
   * Throws `rate.limited`; the same for addresses that nobody has.
   */
  readonly begin: (email: string, ip: string) => Promise<void>
  /** The password was right: what was counted for it counts no more. */
  readonly succeeded: (email: string, ip: string) => Promise<void>
}

export type SignInAttemptParts = {
  readonly counters: Counters
  readonly seal: Pick<Seal, 'digest'>
}

/** Where limits are off. */
export const uncountedAttempts: SignInAttempts = {
  begin: async () => {},
  succeeded: async () => {},
}

export function openSignInAttempts({ counters, seal }: SignInAttemptParts): SignInAttempts {
  const keysOf = (email: string, ip: string) => {
    const digest = seal.digest('sign-in address', addressKey(email)).slice(0, 32)
    const from = normalizeIP(ip)
    return {
      place: `sign-in:${digest}:${from}`,
      address: `sign-in:${digest}`,
      known: `signed-in:${digest}:${from}`,
    }
  }
  return {
    begin: async (email, ip) => {
      const { place, address, known } = keysOf(email, ip)
      const { perPlaceMax, perPlaceMs, perAddressMax, perAddressMs } = signInLimits
      const here = await counters.hit(place, perPlaceMs)
      if (here.count > perPlaceMax) throw tooMany(perPlaceMax, here)
      const [everywhere, lately] = await Promise.all([
        counters.hit(address, perAddressMs),
        counters.read(known),
      ])
      if (everywhere.count > perAddressMax && lately.count === 0) {
        throw tooMany(perAddressMax, everywhere)
      }
    },
    succeeded: async (email, ip) => {
      const { place, address, known } = keysOf(email, ip)
      await Promise.all([
        counters.forget(place),
        counters.undo(address),
        counters.hit(known, signInLimits.knownPlaceMs),
      ])
    },
  }
}

function tooMany(limit: number, { count, leftMs }: { count: number; leftMs: number }): AppError {
  const message = 'too many sign-ins with this address; wait, or reset the password'
  const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000))
  return new AppError('rate.limited', message, { details: { limit, count }, retryAfterSeconds })
}
