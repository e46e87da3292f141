import { unreachable } from '../../../shared/assert.ts'
import type { Parameters } from '../../../shared/crd/generation-job.ts'
import type { Model } from '../../../shared/crd/model.ts'
import { resolveParameters } from '../../../shared/domain/job-parameters.ts'
import { isModelAllowed } from '../../../shared/domain/known-model.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError, type FieldError } from '../../../shared/errors.ts'
import type { Hold, HoldRequest } from '../../../shared/wire/internal.ts'
import type { AccountService } from '../accounts/service.ts'
import { type DepartmentMemory, jobPolicyOf, modelUserOf } from '../departments/remember.ts'
import { recordUid } from './dispatch.ts'
import { inputErrors, type InputReaders } from './inputs.ts'
import { newAppliedRow, priceOf, priceTooHigh } from './new-row.ts'
import { isTerminal, type JobRow } from './row.ts'
import { openStates } from './store.ts'

export type HoldDeps = InputReaders & {
  readonly accounts: AccountService
  /** From the cache, or from the API server when the cache has none. */
  readonly findModel: (name: string) => Promise<Model | null>
  readonly people: Pick<DepartmentMemory, 'departmentOf'>
  readonly random: () => number
  readonly nowMs: () => number
}

/**
 * The hold of a custom resource, asked for by the controller as often as it likes. A job that was
 * applied with kubectl gets its row here; who calls is checked before, so uid, namespace, name and
 * spec are taken as they are.
 */
export async function holdForResource(
  deps: HoldDeps,
  jobId: string,
  request: HoldRequest,
): Promise<Hold> {
  if (jobId !== (request.spec.jobId ?? request.uid)) {
    const fields = [{ path: 'jobId', message: 'is not the id of this custom resource' }]
    throw new AppError('request.invalid', 'jobId: is not the id of this resource', { fields })
  }
  const row = (await deps.store.get(jobId)) ?? (await adopt(deps, request))
  if (row === null) return refused('spec.jobId: the api knows no such job')
  const isSame = row.resource.name === request.name && row.resource.namespace === request.namespace
  if (!isSame) return refused('spec.jobId: it belongs to another GenerationJob')
  if (row.resource.uid === null) await recordUid(deps.store, row, request.uid)
  else if (row.resource.uid !== request.uid) return refused('spec.jobId: it has had its resource')
  return await holdForRow(deps, row)
}

/** Null for an object that claims to be the api's although the api has no row of it. */
async function adopt(deps: HoldDeps, request: HoldRequest): Promise<JobRow | null> {
  const { spec, uid, namespace, name } = request
  if (spec.jobId !== undefined) return null
  const checked = await check(deps, request)
  const { embedRecipe } = await jobPolicyOf(deps.people, spec.owner.department)
  const facts = { uid, namespace, name, spec, embedRecipe, nowMs: deps.nowMs() }
  const row = newAppliedRow({ ...facts, ...checked })
  await deps.store.insert(row)
  return await deps.store.get(uid)
}

/** A bad request gets a row as well, with its reason: the history has every job. */
async function check(deps: HoldDeps, { spec }: HoldRequest) {
  const inputs = spec.inputs ?? []
  const user = await modelUserOf(deps.people, spec.owner.department)
  const findAllowed = async (name: string): Promise<Model | null> => {
    const model = await deps.findModel(name)
    return model !== null && isModelAllowed(model, user) ? model : null
  }
  const model = await findAllowed(spec.modelRef.name)
  if (model === null) return { ...invalid(spec.parameters, [noModel]), inputs }
  const loraNames = (spec.parameters.loras ?? []).map(({ name }) => name)
  const loras = await Promise.all(loraNames.map(findAllowed))
  const resolution = resolveParameters(spec, { model, loras }, deps.random)
  if (resolution.kind === 'Refused')
    return { ...invalid(spec.parameters, resolution.errors), inputs }
  const owner = { department: spec.owner.department, user: null }
  const { parameters } = resolution
  const errors = await inputErrors(deps, { owner, inputs, parameters })
  if (errors.length > 0) return { ...invalid(spec.parameters, errors), inputs }
  const price = priceOf(spec.task, parameters, model)
  if (price === null) return { ...invalid(spec.parameters, [priceTooHigh]), inputs }
  const { microCredits, images, basis } = price
  return { parameters, price: { microCredits, images, basis }, inputs, refusal: null }
}

const noModel = { path: 'modelRef.name', message: 'there is no such model for this department' }

function invalid(parameters: Parameters, errors: readonly FieldError[]) {
  const text = errors.map(({ path, message }) => `spec.${path}: ${message}`).join('; ')
  return { parameters, price: { microCredits: 0, images: 0 }, refusal: text.slice(0, 1024) }
}

async function holdForRow(deps: HoldDeps, row: JobRow): Promise<Hold> {
  if (row.refusal !== null) return refused(row.refusal)
  if (isTerminal(row.state)) return ended
  const { accountId, _id, price } = row
  const outcome = await deps.accounts.hold(accountId, _id, price.microCredits)
  switch (outcome.kind) {
    case 'Held':
      return await noteHeld(deps, row, outcome.microCredits)
    case 'Insufficient': {
      const missing = formatCredits(outcome.missingMicroCredits)
      return waiting('InsufficientCredits', `${missing} credits are missing`)
    }
    case 'HoldLimit':
    case 'OverCap':
      return waiting('HoldLimit', 'too many jobs of the payer are open')
    case 'Ended':
      return ended
    default:
      return unreachable(outcome)
  }
}

/** The job may have ended while the hold was made: then nobody else would give it back. */
async function noteHeld(deps: HoldDeps, row: JobRow, microCredits: number): Promise<Hold> {
  const isNoted =
    row.hold === 'Held' ||
    (await deps.store.change(row._id, { states: openStates }, { hold: 'Held' })) !== null
  if (!isNoted) {
    await deps.accounts.void(row.accountId, row._id)
    return ended
  }
  const message = `${formatCredits(microCredits)} credits are held`
  return { state: 'Held', reason: 'Reserved', message, microCredits }
}

const ended: Hold = {
  state: 'Ended',
  reason: 'Ended',
  message: 'the job has ended',
  microCredits: 0,
}

function refused(message: string): Hold {
  return { state: 'Refused', reason: 'InvalidInput', message, microCredits: 0 }
}

function waiting(reason: 'InsufficientCredits' | 'HoldLimit', message: string): Hold {
  return { state: 'Waiting', reason, message, microCredits: 0 }
}
