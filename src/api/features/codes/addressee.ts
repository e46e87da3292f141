import type { Clock } from '../../../shared/clock.ts'
import { addressKey } from '../../../shared/wire/text.ts'
import type { UserDirectory } from '../users/directory.ts'
import { emailIdentity } from '../users/identities.ts'
import type { UserRow } from '../users/store.ts'

/** No request takes longer: what is half done after this was left by a crash. */
const settledAfterMs = 3_600_000
/** Nobody's id: reading it takes as long as reading a person. */
const nobody = 'u-nobody'

export type AddresseeParts = {
  readonly directory: Pick<UserDirectory, 'find' | 'identities'>
  readonly clock: Clock
}

/**
 * Whose address this is; null for nobody's. Reads as often for a known as for an unknown address.
 * An identity that a crash left behind, of a person who has another address by now, is deleted or
 * was never made, is taken away on the way, so that the address can be used again.
 */
export async function findAddressee(
  { directory, clock }: AddresseeParts,
  email: string,
): Promise<UserRow | null> {
  const identity = await directory.identities.find(emailIdentity(email))
  const row = await directory.find(identity?.userId ?? nobody)
  if (identity === null) return null
  if (row !== null && addressKey(row.email) === addressKey(email)) return row
  const isLeft = identity.creationTimeMs < clock.nowMs() - settledAfterMs
  if (isLeft) await directory.identities.releaseLeft(identity)
  return null
}
