import { createHash, timingSafeEqual } from 'node:crypto'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import { apiKeyPrefix } from '../../plugins/credentials.ts'

const secretBytes = 32
const pattern = /^ak_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/

/** `ak_<id>_<secret>`; only the hash of its secret is stored. */
export type ApiKeyText = { readonly text: string; readonly hash: string }

export function newApiKeyText(keyId: string, randomBytes: RandomBytes): ApiKeyText {
  const secret = Buffer.from(randomBytes(secretBytes)).toString('base64url')
  return { text: `${apiKeyPrefix}${keyId}_${secret}`, hash: digestOf(secret).toString('hex') }
}

export type ParsedApiKey = {
  readonly keyId: string
  /** Takes the same time whatever the stored hash is. */
  readonly matches: (hash: string) => boolean
}

/** Null for what cannot be a key. */
export function parseApiKey(text: string): ParsedApiKey | null {
  const [, keyId, secret] = pattern.exec(text) ?? []
  if (keyId === undefined || secret === undefined) return null
  const digest = digestOf(secret)
  return { keyId, matches: (hash) => timingSafeEqual(digest, Buffer.from(hash, 'hex')) }
}

/** 256 random bits need no slow hash. */
function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
