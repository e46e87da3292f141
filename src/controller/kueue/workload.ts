import type { ResourceKind } from '../../platform/kube/resources.ts'
import type { KubeObject } from '../../platform/kube/types.ts'
import type { Condition } from '../../shared/crd/common.ts'
import { findCondition } from '../conditions.ts'
import { kueueGroup } from './names.ts'

/** What we read of Kueue's Workload; the same in all its versions. */
export type Workload = KubeObject & {
  readonly spec?: { readonly active?: boolean }
  readonly status?: { readonly conditions?: readonly Condition[] }
}

export function workloadsOf(version: string): ResourceKind<Workload> {
  return { group: kueueGroup, version, plural: 'workloads', kind: 'Workload', namespaced: true }
}

/** A Workload, reduced to what decisions need. */
export type WorkloadView = {
  /** False: somebody, or Kueue itself, has said that it must not run for now. */
  readonly active: boolean
  /** Why it does not run, in Kueue's own words; empty while it has not said anything. */
  readonly message: string
}

export function viewWorkload({ spec, status }: Workload): WorkloadView {
  const active = spec?.active !== false
  const message = messageOf(status?.conditions)
  return { active, message: active || message !== '' ? message : inactive }
}

function messageOf(conditions: readonly Condition[] | undefined): string {
  const evicted = findCondition(conditions, 'Evicted')
  if (evicted?.status === 'True') return evicted.message
  const quota = findCondition(conditions, 'QuotaReserved')
  return quota?.status === 'True' ? waitingForChecks : (quota?.message ?? '')
}

/** Of a job that is never asked about after this: Kueue resumes it as soon as they are done. */
const waitingForChecks = 'Quota is reserved; admission checks are not done.'
const inactive = 'The workload is deactivated'

/**
 * Whether two messages say the same but for numbers, as Kueue's do while others come and go:
 * "insufficient unused quota for nvidia.com/gpu in flavor default, 2 more needed". Only the first
 * sentence counts.
 */
export function saysTheSame(left: string, right: string): boolean {
  return gistOf(left) === gistOf(right)
}

function gistOf(message: string): string {
  const [first = ''] = message.split(/(?<=\.)\s/)
  return first.replaceAll(/\d+/g, '#')
}
