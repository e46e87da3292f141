import type { Condition } from '../../shared/crd/common.ts'
import {
  type GenerationJobConditionType,
  generationJobReasons,
  type GenerationJobReason,
} from '../../shared/crd/conditions.ts'
import type { GenerationJobStatus } from '../../shared/crd/generation-job.ts'
import { type ConditionDraft, findCondition, mergeConditions } from '../conditions.ts'
import { MESSAGE_LENGTH_MAX } from '../limits.ts'
import { mergePatchBetween } from '../status-patch.ts'
import type { Action } from './decision.ts'
import type { Observed } from './observed.ts'

type ConditionInput<Type extends GenerationJobConditionType> = {
  readonly type: Type
  readonly status: Condition['status']
  readonly reason: GenerationJobReason[Type]
  /** Without it, the reason's own sentence. */
  readonly message?: string | undefined
}

export function condition<Type extends GenerationJobConditionType>(
  input: ConditionInput<Type>,
): ConditionDraft {
  const { type, status, reason } = input
  const sentences: Readonly<Record<string, string>> = generationJobReasons[type]
  const message = input.message ?? sentences[reason] ?? ''
  return { type, status, reason, message: message.slice(0, MESSAGE_LENGTH_MAX) }
}

/** The condition as it stands, for a decision that leaves it alone. */
export function keptCondition(
  observed: Observed,
  type: GenerationJobConditionType,
): ConditionDraft | undefined {
  const kept = findCondition(observed.job.status?.conditions, type)
  if (kept === undefined) return undefined
  return { type: kept.type, status: kept.status, reason: kept.reason, message: kept.message }
}

export type StatusChange = {
  readonly conditions: readonly ConditionDraft[]
  /** A field given as undefined is removed. */
  readonly fields?: Partial<GenerationJobStatus>
}

/** The status after a change: what the decision does not name stays. */
function nextStatus(observed: Observed, change: StatusChange): GenerationJobStatus {
  const { job, nowMs } = observed
  const generation = job.metadata.generation
  return {
    ...job.status,
    ...change.fields,
    observedGeneration: generation,
    conditions: mergeConditions(job.status?.conditions, change.conditions, { generation, nowMs }),
  }
}

/** Nothing is written when nothing differs. */
export function writeStatus(observed: Observed, change: StatusChange): readonly Action[] {
  const patch = mergePatchBetween(observed.job.status ?? {}, nextStatus(observed, change))
  return patch === undefined ? [] : [{ kind: 'WriteStatus', patch }]
}
