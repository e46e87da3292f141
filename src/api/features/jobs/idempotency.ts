import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import type { LeaderTask } from '../../people.ts'
import type { JobRow } from './row.ts'
import type { JobStore, KeyDocument } from './store.ts'

/** A request whose first copy is younger than this may still be on its way. */
const inFlightMs = 10_000
/** Longer than any client tries again; after it the same key makes another job. */
const keptMs = 7 * 86_400_000
const forgetEveryMs = 3_600_000

export type KeyedRequest = {
  /** Digest of user and key. */
  readonly keyId: string
  /** Digest of the body. */
  readonly requestHash: string
  readonly nowMs: number
}

export type Claim =
  /** Nobody used the key: the row is to be made. */
  | { readonly kind: 'Fresh' }
  /** The first copy broke off before or in its row: go on with its id. */
  | { readonly kind: 'Resume'; readonly jobId: string; readonly row: JobRow | null }
  | { readonly kind: 'Replay'; readonly row: JobRow }

/** Errors: `idempotency.mismatch`, `idempotency.in_flight`. */
export async function lookUpKey(store: JobStore, request: KeyedRequest): Promise<Claim> {
  const known = await store.getKey(request.keyId)
  if (known === null) return { kind: 'Fresh' }
  if (known.requestHash !== request.requestHash) {
    throw new AppError('idempotency.mismatch', 'this Idempotency-Key was used for another body')
  }
  const row = await store.get(known.jobId)
  if (row !== null && row.state !== 'Accepting') return { kind: 'Replay', row }
  refuseInFlight(known, request.nowMs)
  return { kind: 'Resume', jobId: known.jobId, row }
}

/**
 * Takes the key for a new job; when another request was faster, looks again at what it made.
 * The key comes before the row, so that the row of a key can only have the key's job id.
 * Errors: as `lookUpKey`.
 */
export async function claimKey(
  store: JobStore,
  request: KeyedRequest,
  jobId: string,
): Promise<Exclude<Claim, { kind: 'Resume' }>> {
  const { keyId, requestHash, nowMs } = request
  const document = { _id: keyId, requestHash, jobId, createTimeMs: nowMs }
  if (await store.insertKey(document)) return { kind: 'Fresh' }
  const claim = await lookUpKey(store, request)
  if (claim.kind === 'Replay') return claim
  // The faster request was refused and has just taken its key away, or its key only looks old,
  // because another replica's clock is behind.
  throw inFlight()
}

export type ForgetDeps = {
  readonly store: Pick<JobStore, 'removeKeysBefore'>
  readonly clock: Clock
}

/** For `leaderTasks`: keys are not kept for good as jobs are. */
export function forgetKeysTask({ store, clock }: ForgetDeps): LeaderTask {
  return {
    name: 'forget-idempotency-keys',
    everyMs: forgetEveryMs,
    run: async () => await store.removeKeysBefore(clock.nowMs() - keptMs),
  }
}

function refuseInFlight({ createTimeMs }: KeyDocument, nowMs: number): void {
  if (nowMs - createTimeMs < inFlightMs) throw inFlight()
}

function inFlight(): AppError {
  const message = 'the first request with this Idempotency-Key still runs'
  return new AppError('idempotency.in_flight', message, { retryAfterSeconds: 1 })
}
