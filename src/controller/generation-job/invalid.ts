import { isRefused, KubeError } from '../../platform/kube/errors.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { isAppError } from '../../shared/errors.ts'
import { findCondition, mergeConditions } from '../conditions.ts'
import { mergePatchBetween } from '../status-patch.ts'
import { isTerminal } from './eligibility.ts'
import { condition } from './status.ts'

/** Answers that the next try may get another one to: nobody need be told. */
const passingStatus: readonly number[] = [401, 404, 408, 409, 410, 429]

/**
 * What makes a reconcile throw again and again is said in the status of its job: Admitted=False
 * with reason Invalid, until a reconcile succeeds and writes the condition anew. Undefined when
 * there is nothing to say: the fault passes by itself, the job runs or has ended, or it is said.
 */
export function invalidPatch(
  job: GenerationJob,
  { error, nowMs }: { readonly error: unknown; readonly nowMs: number },
): object | undefined {
  const before = job.status?.conditions
  const admitted = findCondition(before, 'Admitted')
  // Of a suspended attempt that condition is the memory.
  const isTaken = admitted?.status === 'True' || admitted?.reason === 'Suspended'
  if (!isLasting(error) || isTerminal(job) || isTaken) return undefined
  const message = `${sentence} ${error instanceof Error ? error.message : String(error)}`
  const invalid = condition({ type: 'Admitted', status: 'False', reason: 'Invalid', message })
  const stamp = { generation: job.metadata.generation, nowMs }
  const conditions = mergeConditions(before, [invalid], stamp)
  return mergePatchBetween({ conditions: before }, { conditions })
}

const sentence = 'The controller cannot work on this object and tries again, ever more rarely.'

/** Anything that nobody expected lasts as long as the object that brings it to light. */
function isLasting(error: unknown): boolean {
  if (error instanceof KubeError) return isRefused(error) && !passingStatus.includes(error.status)
  return !isAppError(error) || error.code === 'platform.misconfigured'
}
