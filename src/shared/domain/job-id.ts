import { assert } from '../assert.ts'

/** Crockford's base 32, lower case: no i, l, o, u. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

export type RandomBytes = (length: number) => Uint8Array

/**
 * A lower-case ULID (github.com/ulid/spec): 48 bits of time, 80 random bits, 26 characters. Ids of
 * different milliseconds sort by time.
 */
export function newJobId(nowMs: number, randomBytes: RandomBytes): string {
  assert(Number.isSafeInteger(nowMs) && nowMs >= 0 && nowMs < 2 ** 48, 'the time fits 48 bits')
  const random = randomBytes(16)
  const letters = Array.from(random, (byte) => letter(byte % 32))
  return encodeTime(nowMs) + letters.join('')
}

/** Name of the custom resource that the api makes for a job. */
export function resourceNameOf(jobId: string): string {
  return `gj-${jobId}`
}

function encodeTime(nowMs: number): string {
  let text = ''
  for (let left = nowMs; text.length < 10; left = Math.floor(left / 32)) {
    text = letter(left % 32) + text
  }
  return text
}

function letter(index: number): string {
  const found = alphabet[index]
  assert(found !== undefined, 'five bits index the alphabet')
  return found
}
