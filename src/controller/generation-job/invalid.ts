import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { findCondition, mergeConditions } from '../conditions.ts'
import { lastingFault } from '../lasting-fault.ts'
import { mergePatchBetween } from '../status-patch.ts'
import { isTerminal } from './eligibility.ts'
import { condition } from './status.ts'

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
  const message = lastingFault(error)
  if (message === undefined || isTerminal(job) || isTaken) return undefined
  const invalid = condition({ type: 'Admitted', status: 'False', reason: 'Invalid', message })
  const stamp = { generation: job.metadata.generation, nowMs }
  const conditions = mergeConditions(before, [invalid], stamp)
  return mergePatchBetween({ conditions: before }, { conditions })
}
