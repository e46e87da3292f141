import type {
  GenerationJobSpec,
  Input,
  Parameters,
  Task,
} from '../../../shared/crd/generation-job.ts'
import type { Model } from '../../../shared/crd/model.ts'
import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import { resourceNameOf } from '../../../shared/domain/job-id.ts'
import { acceptedReason } from '../../../shared/domain/job-status.ts'
import { type PricedJob, priceJob } from '../../../shared/domain/price.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import type { JobRow } from './row.ts'

export type NewRow = {
  readonly jobId: string
  readonly caller: Caller
  readonly request: JobRequest
  readonly parameters: Parameters
  readonly price: JobRow['price']
  readonly namespace: string
  readonly limits: NonNullable<JobRow['limits']>
  readonly embedRecipe: boolean
  readonly nowMs: number
}

export const defaultPriority = 50
export const defaultExecution = 'Auto'

/** The row of a REST request, in its first state: nothing is held, nothing runs. */
export function newRow(from: NewRow): JobRow {
  const { jobId, caller, request, parameters, price, namespace, nowMs } = from
  const { department, userId } = caller
  return {
    ...emptyRow(nowMs),
    _id: jobId,
    source: 'Api',
    owner: { department, user: userId },
    accountId: accountIdOf({ department, user: userId }),
    task: request.task,
    model: request.model,
    parameters,
    inputs: inputsOf(request),
    priority: request.priority ?? defaultPriority,
    execution: request.execution ?? defaultExecution,
    limits: from.limits,
    embedRecipe: from.embedRecipe,
    price,
    resource: { namespace, name: resourceNameOf(jobId), uid: null },
  }
}

/** What a job with complete parameters costs now; null: more than any account can have. */
export function priceOf(task: Task, parameters: Parameters, { spec }: Model): PricedJob | null {
  return priceJob({ task, parameters, family: spec.family }, spec.price)
}

/** Names a field that both a request and a custom resource have. */
export const priceTooHigh = {
  path: 'parameters',
  message: 'cost more credits than any account can have; ask for fewer pictures or steps',
}

export function inputsOf(request: JobRequest): readonly Input[] {
  return request.task === 'TextToImage' ? [] : request.inputs
}

export type AppliedJob = {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  readonly spec: GenerationJobSpec
  /** Complete when the request is good, as asked when it is refused. */
  readonly parameters: Parameters
  readonly inputs: readonly Input[]
  readonly price: JobRow['price']
  readonly refusal: string | null
  /** Absent for one that has ended already. */
  readonly embedRecipe?: boolean
  readonly nowMs: number
}

/** The row of a job that somebody applied with kubectl: its custom resource is there already. */
export function newAppliedRow(from: AppliedJob): JobRow {
  const { uid, namespace, name, spec, parameters, inputs, price, refusal, nowMs } = from
  const { department } = spec.owner
  return {
    ...emptyRow(nowMs),
    _id: uid,
    source: 'Kubectl',
    owner: { department, user: null },
    accountId: accountIdOf({ department }),
    task: spec.task,
    model: spec.modelRef.name,
    parameters,
    inputs,
    priority: spec.priority,
    execution: spec.execution,
    state: 'Pending',
    price,
    refusal,
    embedRecipe: from.embedRecipe ?? true,
    resource: { namespace, name, uid },
  }
}

function emptyRow(nowMs: number) {
  return {
    state: 'Accepting',
    ...acceptedReason,
    conditions: [],
    limits: null,
    refusal: null,
    hold: 'None',
    chargedMicroCredits: null,
    attempt: null,
    progress: null,
    outputs: [],
    cancelRequested: false,
    cancelSent: false,
    missingTimeMs: null,
    revision: 1,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    startTimeMs: null,
    completionTimeMs: null,
    keepUntilMs: null,
    outputsRemovedTimeMs: null,
  } as const
}
