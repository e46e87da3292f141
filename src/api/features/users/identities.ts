import { createHash } from 'node:crypto'
import type { Database } from '../../../platform/mongo/database.ts'
import { addressKey } from '../../../shared/wire/text.ts'

/**
 * What somebody signs in with: an address, or a subject at an issuer. `_id` follows from it, so
 * that each belongs to one person only. The identity is made before the row of its person: one
 * whose row is missing was left by a crash and is finished by whoever proves it again.
 */
export type Identity = {
  readonly _id: string
  readonly kind: 'Email' | 'Sso'
  readonly userId: string
  readonly creationTimeMs: number
}

/** The only writer of the collection `identities`. */
export type IdentityStore = {
  readonly find: (id: string) => Promise<Identity | null>
  /** The identity that is there afterwards: another person's when it was taken. */
  readonly claim: (identity: Identity) => Promise<Identity>
  /** Takes it away from this person; true when it was theirs. */
  readonly release: (id: string, userId: string) => Promise<boolean>
  /** As `release`, unless somebody has renewed it since it was read. */
  readonly releaseLeft: (identity: Identity) => Promise<boolean>
  /** Makes it as good as new for one of all callers; null for the others, or when it is gone. */
  readonly renew: (identity: Identity, nowMs: number) => Promise<Identity | null>
  readonly listOf: (userId: string) => Promise<readonly Identity[]>
}

const identitiesMax = 100
/** Between our two steps somebody may release it, but hardly again and again. */
const roundsMax = 5

export function createIdentityStore(database: Database): IdentityStore {
  const identities = database.documents<Identity>('identities')
  return {
    find: identities.findById,
    claim: async (identity) => {
      for (let round = 0; round < roundsMax; round += 1) {
        if (await identities.insert(identity)) return identity
        const held = await identities.findById(identity._id)
        if (held !== null) return held
      }
      throw new Error('an identity can neither be made nor found')
    },
    release: async (id, userId) => await identities.remove({ _id: id, userId }),
    releaseLeft: async (left) => await identities.remove({ ...left }),
    renew: async (left, nowMs) =>
      await identities.findAndUpdate({ ...left }, { $set: { creationTimeMs: nowMs } }),
    listOf: async (userId) => await identities.find({ userId }, { limit: identitiesMax }),
  }
}

export function emailIdentity(email: string): string {
  return `email:${addressKey(email)}`
}

/** Issuer and subject together: the same subject at another issuer is somebody else. */
export function ssoIdentity(issuer: string, subject: string): string {
  const text = JSON.stringify([issuer, subject])
  return `sso:${createHash('sha256').update(text).digest('hex')}`
}
