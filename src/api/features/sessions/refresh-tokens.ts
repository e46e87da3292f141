import { createHash, timingSafeEqual } from 'node:crypto'
import type { Seal } from '../../../platform/seal/seal.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'

const secretBytes = 32
const proofLength = 32
const pattern = /^atr_([0-9a-z]{26})_([A-Za-z0-9_-]{43})_([0-9a-f]{32})$/

/** `atr_<session>_<secret>_<proof>`; only the hash of its secret is stored. */
export type RefreshToken = {
  readonly text: string
  readonly hash: string
}

export type RefreshTokenParts = {
  readonly seal: Pick<Seal, 'digest'>
  readonly randomBytes: RandomBytes
}

export function newRefreshToken(
  sessionId: string,
  { seal, randomBytes }: RefreshTokenParts,
): RefreshToken {
  const secret = Buffer.from(randomBytes(secretBytes)).toString('base64url')
  const proof = proofOf(seal, sessionId, secret)
  return { text: `atr_${sessionId}_${secret}_${proof}`, hash: hashOf(secret) }
}

/**
 * Null for what we never gave out. So a token that does not fit its session was good once, and
 * nobody ends a session by making one up for its id.
 */
export function parseRefreshToken(
  text: string,
  seal: RefreshTokenParts['seal'],
): { readonly sessionId: string; readonly hash: string } | null {
  const [, sessionId, secret, proof] = pattern.exec(text) ?? []
  if (sessionId === undefined || secret === undefined || proof === undefined) return null
  const expected = proofOf(seal, sessionId, secret)
  if (!timingSafeEqual(Buffer.from(proof), Buffer.from(expected))) return null
  return { sessionId, hash: hashOf(secret) }
}

function proofOf(seal: RefreshTokenParts['seal'], sessionId: string, secret: string): string {
  return seal.digest(`refresh token ${sessionId}`, secret).slice(0, proofLength)
}

/** 256 random bits need no slow hash. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
