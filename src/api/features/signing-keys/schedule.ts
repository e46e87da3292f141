import { accessTokenSecondsMax } from '../../../shared/domain/settings.ts'
import type { SigningKeyRow } from './store.ts'

/** How long a key is published before it signs: longer than any verifier keeps the old list. */
export const publishAheadMs = 10 * 60_000
/** Clocks that differ, and replicas that heard late of the next key. */
const slackMs = 5 * 60_000

type Times = Pick<SigningKeyRow, 'activeFromMs' | 'retireMs'>

/** The newest key whose time has come. `keys` is in order of numbers and not empty. */
export function signerAt<Key extends Times>(keys: readonly Key[], nowMs: number): Key | undefined {
  const usable = keys.filter((_, index) => retireMsOf(keys, index) > nowMs)
  return usable.findLast((key) => key.activeFromMs <= nowMs) ?? usable.at(0)
}

/** Whose tokens count. A key that does not sign yet is among them. */
export function verifiersAt<Key extends Times>(keys: readonly Key[], nowMs: number): Key[] {
  return keys.filter((_, index) => retireMsOf(keys, index) > nowMs)
}

/** When the last token of a key has ended for certain; the newest key has no such time. */
export function retireMsOf(keys: readonly Times[], index: number): number {
  const own = keys[index]?.retireMs ?? Number.POSITIVE_INFINITY
  const next = keys[index + 1]
  if (next === undefined) return own
  return Math.min(own, next.activeFromMs + accessTokenSecondsMax * 1000 + slackMs)
}
