import type { Lister } from '../../../platform/kube/list-watch.ts'
import type { Parameters } from '../../../shared/crd/generation-job.ts'
import type { Department } from '../../../shared/crd/department.ts'
import type { Model } from '../../../shared/crd/model.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { resolveParameters } from '../../../shared/domain/job-parameters.ts'
import { isModelAllowed, type RequestModels } from '../../../shared/domain/known-model.ts'
import type { Priced, PricedJob } from '../../../shared/domain/price.ts'
import { AppError, type FieldError } from '../../../shared/errors.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import { type DepartmentMemory, jobPolicyOf, modelUserOf } from '../departments/remember.ts'
import { type OwnerLimitParts, type OwnerLimits, readOwnerLimits } from '../limits/owner-limits.ts'
import { quotedPrice } from '../quotes/bind.ts'
import type { QuoteStore } from '../quotes/store.ts'
import { inputErrors, type InputReaders } from './inputs.ts'
import { imageErrors, jobLimitsOf, requireDepartmentRoom } from './job-caps.ts'
import { inputsOf, newRow, priceOf, priceTooHigh } from './new-row.ts'
import type { JobRow } from './row.ts'

export type DraftDeps = InputReaders &
  OwnerLimitParts & {
    readonly models: Pick<Lister<Model>, 'get'>
    readonly departments: Pick<Lister<Department>, 'get'>
    readonly people: Pick<DepartmentMemory, 'departmentOf'>
    readonly quotes: Pick<QuoteStore, 'find'>
    readonly random: () => number
  }

export type Wish = {
  readonly caller: Caller
  readonly request: JobRequest
  /** Id of a quote whose price is not to be exceeded. */
  readonly quote?: string | undefined
}

export type CheckedWish = {
  /** Complete. */
  readonly parameters: Parameters
  readonly limits: OwnerLimits
  readonly priced: PricedJob
}

/**
 * What is right or wrong with a request whoever else asks, and its price.
 * Errors: `model.not_found`, `request.invalid`, `quote.invalid`.
 */
export async function checkWish(deps: DraftDeps, wish: Wish): Promise<CheckedWish> {
  const { caller, request } = wish
  const findModel = await allowedModels(deps, caller.department)
  const model = findModel(request.model)
  if (model === null) {
    const fields = [{ path: '/model', message: 'there is no such model' }]
    throw new AppError('model.not_found', 'there is no such model', { fields })
  }
  const loras = (request.parameters.loras ?? []).map(({ name }) => findModel(name))
  const parameters = resolve(deps, wish, { model, loras })
  const limits = await readOwnerLimits(deps, caller.userId)
  const owner = { department: caller.department, user: caller.userId }
  const errors = [
    ...imageErrors(parameters, limits),
    ...(await inputErrors(deps, { owner, inputs: inputsOf(request), parameters })),
  ]
  if (errors.length > 0) throw invalidRequest(errors)
  const current = priceOf(request.task, parameters, model)
  if (current === null) throw invalidRequest([priceTooHigh])
  const promised = await promisedPrice(deps, wish)
  // The smaller of the two: a Model may have become dearer or cheaper since the quote.
  const isCheaper = promised !== null && promised.microCredits < current.microCredits
  return { parameters, limits, priced: isCheaper ? { ...current, ...promised } : current }
}

async function promisedPrice(deps: DraftDeps, { quote, ...wish }: Wish): Promise<Priced | null> {
  if (quote === undefined) return null
  return await quotedPrice(deps.quotes, { ...wish, id: quote, nowMs: deps.clock.nowMs() })
}

export type Draft = { readonly row: JobRow; readonly priced: PricedJob }

/**
 * All checks that need no write, and the row that would be written.
 * Errors: those of `checkWish`, `limit.department_queue`.
 */
export async function draftJob(deps: DraftDeps, wish: Wish, jobId: string): Promise<Draft> {
  const { parameters, limits, priced } = await checkWish(deps, wish)
  const { caller, request } = wish
  const department = deps.departments.get(caller.department)
  const { namespace, embedRecipe } = await jobPolicyOf(deps.people, caller.department)
  await requireDepartmentRoom(deps.store, department)
  const { microCredits, images, basis } = priced
  const row = newRow({
    jobId,
    caller,
    request,
    parameters,
    price: { microCredits, images, basis },
    // While the resource is away, as after kubectl delete, the row still knows.
    namespace: department?.spec.namespace ?? namespace,
    limits: jobLimitsOf(limits),
    embedRecipe,
    nowMs: deps.clock.nowMs(),
  })
  return { row, priced }
}

/** Finds a Model that the department may use; any other is like one that does not exist. */
async function allowedModels({ models, people }: DraftDeps, department: string) {
  const user = await modelUserOf(people, department)
  return (name: string): Model | null => {
    const model = models.get(name)
    return model !== undefined && isModelAllowed(model, user) ? model : null
  }
}

function resolve(
  { random }: DraftDeps,
  { caller, request }: Wish,
  models: RequestModels,
): Parameters {
  const { department, userId: user } = caller
  const { task, parameters } = request
  const wish = { owner: { department, user }, task, parameters, inputs: inputsOf(request) }
  const resolution = resolveParameters(wish, models, random)
  if (resolution.kind === 'Refused') throw invalidRequest(resolution.errors)
  return resolution.parameters
}

/** The message has the dotted paths, the fields have JSON pointers. */
export function invalidRequest(errors: readonly FieldError[]): AppError {
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
