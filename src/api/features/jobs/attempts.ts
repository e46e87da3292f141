import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents } from '../../../platform/mongo/documents.ts'
import type { Output } from '../../../shared/crd/generation-job.ts'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import { artifactKey } from '../../../shared/domain/job-artifact.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AttemptReport, Report, UploadsRequest } from '../../../shared/wire/internal.ts'

export type AttemptRef = { readonly jobId: string; readonly attempt: number }

/** An announced object; `confirmed` when its bytes have arrived. `_id` is its key. */
export type UploadDocument = Omit<Output, 'key'> & {
  readonly _id: string
  readonly jobId: string
  readonly attempt: number
  readonly confirmed: boolean
}

/** One per attempt. `_id` is `<jobId>:<attempt>`. */
type ReportDocument = { readonly _id: string; readonly report: Report }

/** What the pods of a job have handed in. The only writer of `uploads` and `reports`. */
export type AttemptStore = {
  /**
   * Notes what is about to be uploaded. Errors: `object.mismatch` for a name whose bytes have
   * arrived and are others, `request.invalid` for too many names.
   */
  readonly announce: (
    ref: AttemptRef,
    outputs: UploadsRequest['outputs'],
  ) => Promise<readonly UploadDocument[]>
  readonly findUpload: (key: string) => Promise<UploadDocument | null>
  readonly confirm: (key: string, sha256: string) => Promise<boolean>
  /**
   * Takes the one report of an attempt; the same again is fine.
   * Errors: `attempt.reported` for another one.
   */
  readonly report: (ref: AttemptRef, report: Report) => Promise<void>
  readonly findReport: (ref: AttemptRef) => Promise<Report | null>
  readonly confirmedOutputs: (ref: AttemptRef) => Promise<readonly Output[]>
}

/** As many as a report and a status can name. */
const uploadsMax = 1600

export function openAttemptStore(database: Database): AttemptStore {
  const uploads = database.documents<UploadDocument>('uploads')
  const reports = database.documents<ReportDocument>('reports')
  return {
    announce: async (ref, outputs) => await announce(uploads, ref, outputs),
    findUpload: async (key) => await uploads.findById(key),
    confirm: async (key, sha256) =>
      await uploads.update({ _id: key, sha256 }, { $set: { confirmed: true } }),
    report: async (ref, report) => {
      const document = { _id: reportId(ref), report }
      if (await reports.insert(document)) return
      const existing = await reports.findById(document._id)
      if (canonicalJson(existing?.report) === canonicalJson(report)) return
      throw new AppError('attempt.reported', 'this attempt has handed in another report')
    },
    findReport: async (ref) => (await reports.findById(reportId(ref)))?.report ?? null,
    confirmedOutputs: async ({ jobId, attempt }) => {
      const filter = { jobId, attempt, confirmed: true }
      const found = await uploads.find(filter, { sort: { _id: 1 }, limit: uploadsMax })
      return found.map(toOutput)
    },
  }
}

/** What an attempt delivered: its report, or without one what it had uploaded. */
export async function readAttempt(
  store: AttemptStore,
  ref: AttemptRef,
  stepsSeen: number,
): Promise<AttemptReport> {
  const report = await store.findReport(ref)
  if (report !== null) return { report, outputs: report.outputs, stepsDone: report.stepsDone }
  const outputs = await store.confirmedOutputs(ref)
  return { report: null, outputs: [...outputs], stepsDone: stepsSeen }
}

async function announce(
  uploads: Documents<UploadDocument>,
  ref: AttemptRef,
  outputs: UploadsRequest['outputs'],
): Promise<readonly UploadDocument[]> {
  const known = await uploads.find({ ...ref }, { limit: uploadsMax })
  const names = new Set([...known, ...outputs].map(({ name }) => name))
  if (names.size > uploadsMax) {
    const fields = [{ path: '/outputs', message: `an attempt has at most ${uploadsMax}` }]
    throw new AppError('request.invalid', 'too many outputs', { fields })
  }
  const documents = outputs.map((output) => ({
    ...output,
    ...ref,
    _id: artifactKey({ ...ref, name: output.name }),
    confirmed: false,
  }))
  for (const document of documents) await announceOne(uploads, document)
  return documents
}

async function announceOne(
  uploads: Documents<UploadDocument>,
  document: UploadDocument,
): Promise<void> {
  if (await uploads.insert(document)) return
  const { _id, ...fields } = document
  if (await uploads.update({ _id, confirmed: false }, { $set: fields })) return
  const existing = await uploads.findById(_id)
  if (existing?.sha256 === document.sha256 && existing.sizeBytes === document.sizeBytes) return
  throw new AppError('object.mismatch', `${document.name} was uploaded with other bytes`)
}

function toOutput({
  _id,
  jobId: _job,
  attempt: _attempt,
  confirmed: _c,
  ...output
}: UploadDocument) {
  return { ...output, key: _id }
}

function reportId({ jobId, attempt }: AttemptRef): string {
  return `${jobId}:${attempt}`
}
