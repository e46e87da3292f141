import { createHash } from 'node:crypto'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import { newJobId, type RandomBytes } from '../../../shared/domain/job-id.ts'
import { type AcceptDeps, acceptRow, continueAccept, isRefusal } from './accept.ts'
import { type DraftDeps, draftJob, invalidRequest, type Wish } from './draft.ts'
import { claimKey, lookUpKey } from './idempotency.ts'
import type { JobRow } from './row.ts'
import { keyIdOf } from './store.ts'

export type SubmitDeps = AcceptDeps & DraftDeps & { readonly randomBytes: RandomBytes }

export type Submission = Wish & { readonly idempotencyKey: string | undefined }

export type SubmittedRow = { readonly row: JobRow; readonly replayed: boolean }

/** Accepts a request, or finds what its first copy was accepted as. */
export async function submitRow(deps: SubmitDeps, submission: Submission): Promise<SubmittedRow> {
  const nowMs = deps.clock.nowMs()
  const keyed = keyedRequest(submission, nowMs)
  const seen = keyed === null ? fresh : await lookUpKey(deps.store, keyed)
  if (seen.kind === 'Replay') return { row: seen.row, replayed: true }
  if (seen.kind === 'Resume' && seen.row !== null) {
    return { row: await continueAccept(deps, seen.row), replayed: true }
  }
  const jobId = seen.kind === 'Resume' ? seen.jobId : newJobId(nowMs, deps.randomBytes)
  const { row: draft } = await draftJob(deps, submission, jobId)
  if (keyed !== null && seen.kind === 'Fresh') {
    const claim = await claimKey(deps.store, keyed, jobId)
    if (claim.kind === 'Replay') return { row: claim.row, replayed: true }
  }
  return { row: await acceptOrForget(deps, draft, keyed?.keyId), replayed: false }
}

const fresh = { kind: 'Fresh' } as const

/** A refused request leaves no key: the same key may be tried again after a top-up. */
async function acceptOrForget(
  deps: SubmitDeps,
  draft: JobRow,
  keyId: string | undefined,
): Promise<JobRow> {
  try {
    return await acceptRow(deps, draft)
  } catch (error) {
    if (keyId !== undefined && isRefusal(error)) {
      await deps.store.removeKey({ _id: keyId, jobId: draft._id })
    }
    throw error
  }
}

/** The key comes before the quote: a repeat finds its job although the quote has expired since. */
function keyedRequest({ caller, request, quote, idempotencyKey }: Submission, nowMs: number) {
  if (idempotencyKey === undefined) return null
  if (idempotencyKey === '' || idempotencyKey.length > 255) {
    throw invalidRequest([{ path: 'Idempotency-Key', message: 'must have 1 to 255 characters' }])
  }
  const requestHash = createHash('sha256')
    .update(canonicalJson({ ...request, quote }))
    .digest('hex')
  return { keyId: keyIdOf(caller.userId, idempotencyKey), requestHash, nowMs }
}
