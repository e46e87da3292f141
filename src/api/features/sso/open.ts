import type { Clock } from '../../../shared/clock.ts'
import { createIdTokens } from './id-token.ts'
import { openIssuerKeys } from './issuer-keys.ts'
import type { Issuer } from './issuers.ts'
import type { SsoParts } from './service.ts'

/** Keys and checks of each issuer; nothing is asked for until somebody signs in. */
export function openProviders(issuers: readonly Issuer[], clock: Clock): SsoParts['providers'] {
  return issuers.map((issuer) => {
    const idTokens = createIdTokens(issuer, openIssuerKeys(issuer, clock), clock)
    return { issuer, idTokens }
  })
}
