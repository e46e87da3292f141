import { timestamp } from '../shared/clock.ts'
import type { Condition } from '../shared/crd/common.ts'

/** A condition as a decision sees it; the rest follows from the object and the clock. */
export type ConditionDraft = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>

export type ConditionStamp = { readonly generation: number; readonly nowMs: number }

export function findCondition(
  conditions: readonly Condition[] | undefined,
  type: string,
): Condition | undefined {
  return conditions?.find((condition) => condition.type === type)
}

export function isTrue(conditions: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True'
}

/**
 * The conditions after a decision: those given replace their namesakes, others stay as they are.
 * lastTransitionTime moves only when the status flips (Kubernetes API conventions).
 */
export function mergeConditions(
  before: readonly Condition[] = [],
  drafts: readonly ConditionDraft[],
  stamp: ConditionStamp,
): Condition[] {
  const merged = new Map(before.map((condition) => [condition.type, condition]))
  // Of two drafts of one type the later one counts.
  for (const draft of new Map(drafts.map((each) => [each.type, each])).values()) {
    merged.set(draft.type, stampCondition(merged.get(draft.type), draft, stamp))
  }
  return [...merged.values()]
}

function stampCondition(
  old: Condition | undefined,
  draft: ConditionDraft,
  { generation, nowMs }: ConditionStamp,
): Condition {
  const flipped = old?.status !== draft.status
  return {
    ...draft,
    observedGeneration: generation,
    lastTransitionTime: old === undefined || flipped ? timestamp(nowMs) : old.lastTransitionTime,
  }
}
