import type { Grant, SignedUrl } from '../../../platform/objects/signed-url.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Input, Output } from '../../../shared/crd/generation-job.ts'
import type { Model } from '../../../shared/crd/model.ts'
import { attemptPrefix } from '../../../shared/domain/job-artifact.ts'
import { AppError } from '../../../shared/errors.ts'
import type {
  AttemptReport,
  Report,
  Settlement,
  Uploads,
  UploadsRequest,
  Work,
} from '../../../shared/wire/internal.ts'
import { type AttemptRef, type AttemptStore, readAttempt } from './attempts.ts'
import { findInput, type InputReaders } from './inputs.ts'
import { isTerminal, type JobRow } from './row.ts'

export type PodServiceDeps = InputReaders & {
  readonly attempts: AttemptStore
  readonly findModel: (name: string) => Promise<Model | null>
  /** Makes a link that a pod can reach. */
  readonly sign: (grant: Grant) => SignedUrl
  readonly clock: Clock
}

/** What job pods and the controller ask about attempts. Who may ask is decided before. */
export type PodService = {
  readonly work: (jobId: string) => Promise<Work>
  readonly announceUploads: (ref: AttemptRef, request: UploadsRequest) => Promise<Uploads>
  /** Errors: `object.mismatch` naming outputs that did not arrive, `attempt.reported`. */
  readonly report: (ref: AttemptRef, report: Report) => Promise<void>
  readonly readReport: (ref: AttemptRef) => Promise<AttemptReport>
  readonly settlement: (jobId: string) => Promise<Settlement>
}

const linkLifeMs = 3_600_000

export function openPodService(deps: PodServiceDeps): PodService {
  return {
    work: async (jobId) => await makeWork(deps, await requireRow(deps, jobId)),
    announceUploads: async (ref, { outputs }) => {
      await requireRow(deps, ref.jobId)
      const announced = await deps.attempts.announce(ref, outputs)
      const expiresMs = deps.clock.nowMs() + linkLifeMs
      const expiresTime = new Date(expiresMs).toISOString()
      const uploads = announced.map(({ _id: key, name, sha256, sizeBytes, contentType }) => {
        const grant = { method: 'PUT', key, expiresMs, sha256, sizeBytes, contentType } as const
        return { name, key, url: deps.sign(grant).url, expiresTime }
      })
      return { uploads }
    },
    report: async (ref, report) => {
      await requireRow(deps, ref.jobId)
      await requireUploaded(deps.attempts, ref, report.outputs)
      await deps.attempts.report(ref, report)
    },
    readReport: async (ref) => {
      const { progress } = await requireRow(deps, ref.jobId)
      const stepsSeen = progress?.attempt === ref.attempt ? progress.stepsDone : 0
      return await readAttempt(deps.attempts, ref, stepsSeen)
    },
    settlement: async (jobId) => ({ state: settlementOf(await deps.store.get(jobId)) }),
  }
}

async function makeWork(deps: PodServiceDeps, row: JobRow): Promise<Work> {
  const model = await deps.findModel(row.model)
  if (model === null) throw new AppError('model.not_found', `there is no model ${row.model}`)
  const { delivery, digest } = model.spec
  const inputs: Work['inputs'] = []
  for (const [index, input] of row.inputs.entries()) {
    inputs.push(await workInput(deps, row.owner, { index, input }))
  }
  const shown = { name: row.model, delivery, ...(digest === undefined ? {} : { digest }) }
  const loras = await workLoras(deps, row)
  const { task, parameters, embedRecipe = true } = row
  return { task, model: shown, parameters, inputs, loras, embedRecipe }
}

/** A ConfigMap is mounted by the controller; everything else is fetched by a link. */
async function workInput(
  deps: PodServiceDeps,
  owner: JobRow['owner'],
  { index, input }: { readonly index: number; readonly input: Input },
): Promise<Work['inputs'][number]> {
  const { role } = input
  if (input.configMapRef !== undefined) return { role, file: String(index) }
  const found = await findInput(deps, owner, input)
  if (found === null) throw new AppError('object.not_found', `inputs[${index}] is gone`)
  const { key, sha256, sizeBytes } = found.object
  const { url } = deps.sign({ method: 'GET', key, expiresMs: deps.clock.nowMs() + linkLifeMs })
  return { role, url, sha256, sizeBytes }
}

async function workLoras(deps: PodServiceDeps, { parameters }: JobRow): Promise<Work['loras']> {
  const loras: Work['loras'] = []
  for (const { name, scale } of parameters.loras ?? []) {
    const lora = await deps.findModel(name)
    if (lora === null) throw new AppError('model.not_found', `there is no LoRA ${name}`)
    const { digest } = lora.spec
    loras.push({ name, scale, ...(digest === undefined ? {} : { digest }) })
  }
  return loras
}

/** A report may name only bytes of its own attempt that are here, with the digests that they have. */
async function requireUploaded(
  attempts: AttemptStore,
  ref: AttemptRef,
  outputs: readonly Output[],
): Promise<void> {
  const confirmed = await attempts.confirmedOutputs(ref)
  const byKey = new Map(confirmed.map((output) => [output.key, output]))
  const prefix = attemptPrefix(ref.jobId, ref.attempt)
  const fields = outputs.flatMap((output, index) => {
    const found = output.key.startsWith(prefix) ? byKey.get(output.key) : undefined
    const isEqual = found?.sha256 === output.sha256 && found.sizeBytes === output.sizeBytes
    return isEqual ? [] : [{ path: `/outputs/${index}`, message: 'was not uploaded like this' }]
  })
  if (fields.length === 0) return
  throw new AppError('object.mismatch', 'outputs differ from the uploads', { fields })
}

async function requireRow({ store }: PodServiceDeps, jobId: string): Promise<JobRow> {
  const row = await store.get(jobId)
  if (row === null) throw new AppError('job.not_found', 'there is no such job')
  return row
}

/** A job that never got a hold is as good as voided: nothing of it is open. */
function settlementOf(row: JobRow | null): Settlement['state'] {
  if (row === null) return 'Unknown'
  if (!isTerminal(row.state) || row.hold === 'Held') return 'Open'
  return row.hold === 'None' ? 'Voided' : row.hold
}
