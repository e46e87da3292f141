import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { mergeConditions } from '../conditions.ts'
import { lastingFault } from '../lasting-fault.ts'
import { mergePatchBetween } from '../status-patch.ts'
import { readyCondition } from './status.ts'

/**
 * What makes a reconcile throw again and again, such as a child that the API server refuses, is
 * said in the status of its pool until a reconcile succeeds and writes the condition anew.
 * Undefined when there is nothing to say: the fault passes by itself, or it is said.
 */
export function invalidPatch(
  { metadata: { generation }, status }: ModelPool,
  { error, nowMs }: { readonly error: unknown; readonly nowMs: number },
): object | undefined {
  const message = lastingFault(error)
  if (message === undefined) return undefined
  const invalid = readyCondition('False', 'Invalid', message)
  const conditions = mergeConditions(status?.conditions, [invalid], { generation, nowMs })
  const after = { observedGeneration: generation, conditions }
  const { observedGeneration, conditions: before } = status ?? {}
  return mergePatchBetween({ observedGeneration, conditions: before }, after)
}
