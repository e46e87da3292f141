import { createIdTokens } from './id-token.ts'
import { type IssuerKeyParts, openIssuerKeys } from './issuer-keys.ts'
import type { Issuer } from './issuers.ts'
import type { SsoParts } from './service.ts'

/** Keys and checks of each issuer; nothing is asked for until somebody signs in. */
export function openProviders(
  issuers: readonly Issuer[],
  parts: IssuerKeyParts,
): SsoParts['providers'] {
  return issuers.map((issuer) => {
    const idTokens = createIdTokens(issuer, openIssuerKeys(issuer, parts), parts.clock)
    return { issuer, idTokens }
  })
}
