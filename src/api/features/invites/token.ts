import { createHash, timingSafeEqual } from 'node:crypto'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'

const secretBytes = 32
const pattern = /^([0-9a-z]{26})\.([\w-]{43})$/

export type InviteToken = { readonly text: string; readonly hash: string }

/** `<invite id>.<secret>`: the id finds the invite, the secret proves that its mail was read. */
export function newInviteToken(inviteId: string, randomBytes: RandomBytes): InviteToken {
  const secret = Buffer.from(randomBytes(secretBytes)).toString('base64url')
  return { text: `${inviteId}.${secret}`, hash: hashOf(secret) }
}

export type ReadToken = { readonly inviteId: string; readonly hash: string }

/** Null for what cannot be a token of ours. */
export function readInviteToken(token: string): ReadToken | null {
  const [, inviteId, secret] = pattern.exec(token.trim()) ?? []
  if (inviteId === undefined || secret === undefined) return null
  return { inviteId, hash: hashOf(secret) }
}

export function isSameHash(left: string, right: string): boolean {
  return timingSafeEqual(Buffer.from(left), Buffer.from(right))
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
