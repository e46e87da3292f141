import { createHash } from 'node:crypto'
import type { Lister } from '../../../platform/kube/list-watch.ts'
import { assert } from '../../../shared/assert.ts'
import type { Parameters } from '../../../shared/crd/generation-job.ts'
import type { Department } from '../../../shared/crd/department.ts'
import type { Model } from '../../../shared/crd/model.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import { newJobId, type RandomBytes } from '../../../shared/domain/job-id.ts'
import { resolveParameters } from '../../../shared/domain/job-parameters.ts'
import { isModelAllowed, type RequestModels } from '../../../shared/domain/known-model.ts'
import { AppError, type FieldError } from '../../../shared/errors.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import { type DepartmentMemory, jobPolicyOf, modelUserOf } from '../departments/remember.ts'
import { type OwnerLimitParts, readOwnerLimits } from '../limits/owner-limits.ts'
import { type AcceptDeps, acceptRow, continueAccept, isRefusal } from './accept.ts'
import { claimKey, lookUpKey } from './idempotency.ts'
import { inputErrors, type InputReaders } from './inputs.ts'
import { imageErrors, jobLimitsOf, requireDepartmentRoom } from './job-caps.ts'
import { inputsOf, newRow } from './new-row.ts'
import type { JobRow } from './row.ts'
import { keyIdOf } from './store.ts'

export type SubmitDeps = AcceptDeps &
  InputReaders &
  OwnerLimitParts & {
    readonly models: Pick<Lister<Model>, 'get'>
    readonly departments: Pick<Lister<Department>, 'get'>
    readonly people: Pick<DepartmentMemory, 'departmentOf'>
    readonly random: () => number
    readonly randomBytes: RandomBytes
  }

export type Submission = {
  readonly caller: Caller
  readonly request: JobRequest
  readonly idempotencyKey: string | undefined
}

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
  const draft = await draftRow(deps, submission, jobId)
  if (keyed !== null && seen.kind === 'Fresh') {
    const claim = await claimKey(deps.store, keyed, jobId)
    if (claim.kind === 'Replay') return { row: claim.row, replayed: true }
    assert(claim.kind === 'Fresh', 'a key that was taken this moment is in flight')
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

/**
 * All checks that need no write.
 * Errors: `model.not_found`, `request.invalid`, `limit.department_queue`.
 */
async function draftRow(
  deps: SubmitDeps,
  { caller, request }: Submission,
  jobId: string,
): Promise<JobRow> {
  const findModel = await allowedModels(deps, caller.department)
  const model = findModel(request.model)
  if (model === null) {
    const fields = [{ path: '/model', message: 'there is no such model' }]
    throw new AppError('model.not_found', 'there is no such model', { fields })
  }
  const loras = (request.parameters.loras ?? []).map(({ name }) => findModel(name))
  const parameters = resolve(deps, { caller, request }, { model, loras })
  const limits = await readOwnerLimits(deps, caller.userId)
  const owner = { department: caller.department, user: caller.userId }
  const errors = [
    ...imageErrors(parameters, limits),
    ...(await inputErrors(deps, { owner, inputs: inputsOf(request), parameters })),
  ]
  if (errors.length > 0) throw invalidRequest(errors)
  const department = deps.departments.get(caller.department)
  const { namespace, embedRecipe } = await jobPolicyOf(deps.people, owner.department)
  await requireDepartmentRoom(deps.store, department)
  return newRow({
    jobId,
    caller,
    request,
    parameters,
    model,
    // While the resource is away, as after kubectl delete, the row still knows.
    namespace: department?.spec.namespace ?? namespace,
    limits: jobLimitsOf(limits),
    embedRecipe,
    nowMs: deps.clock.nowMs(),
  })
}

/** Finds a Model that the department may use; any other is like one that does not exist. */
async function allowedModels({ models, people }: SubmitDeps, department: string) {
  const user = await modelUserOf(people, department)
  return (name: string): Model | null => {
    const model = models.get(name)
    return model !== undefined && isModelAllowed(model, user) ? model : null
  }
}

function resolve(
  { random }: SubmitDeps,
  { caller, request }: Pick<Submission, 'caller' | 'request'>,
  models: RequestModels,
): Parameters {
  const { department, userId: user } = caller
  const { task, parameters } = request
  const wish = { owner: { department, user }, task, parameters, inputs: inputsOf(request) }
  const resolution = resolveParameters(wish, models, random)
  if (resolution.kind === 'Refused') throw invalidRequest(resolution.errors)
  return resolution.parameters
}

function keyedRequest({ caller, request, idempotencyKey }: Submission, nowMs: number) {
  if (idempotencyKey === undefined) return null
  if (idempotencyKey === '' || idempotencyKey.length > 255) {
    throw invalidRequest([{ path: 'Idempotency-Key', message: 'must have 1 to 255 characters' }])
  }
  const requestHash = createHash('sha256').update(canonicalJson(request)).digest('hex')
  return { keyId: keyIdOf(caller.userId, idempotencyKey), requestHash, nowMs }
}

/** The message has the dotted paths, the fields have JSON pointers. */
function invalidRequest(errors: readonly FieldError[]): AppError {
  const message = errors.map(({ path, message: text }) => `${path}: ${text}`).join('; ')
  const fields = errors.map((error) => ({ ...error, path: toPointer(error.path) }))
  return new AppError('request.invalid', message, { fields })
}

/** `inputs[0].object` → `/inputs/0/object`; header names stay as they are. */
function toPointer(path: string): string {
  if (path === 'modelRef.name') return '/model'
  if (!/^[a-z]/.test(path)) return path
  return `/${path.replaceAll(/\[(\d+)\]/g, '.$1').replaceAll('.', '/')}`
}
