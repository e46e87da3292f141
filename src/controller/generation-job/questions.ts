import { attemptState, isOutOfSight, isPooledOver } from './attempt.ts'
import { firstVerdict, needsReport } from './checks.ts'
import { isReserved, isTerminal, modelsAreReady } from './eligibility.ts'
import { hasLostQuota } from './lost-quota.ts'
import type { AttemptJobView, Facts, PooledView } from './observed.ts'
import { expiryMs, isSilent } from './times.ts'

/** What the caches know; the rest of an observation must be asked for over the network. */
export type LocalFacts = Omit<Facts, 'hold' | 'report' | 'settlement' | 'confirmedGone'>

/** Whether the API server must confirm that an attempt which no cache shows is really gone. */
export function needsConfirmation({ job, attempts, nowMs }: LocalFacts): boolean {
  if (!isOpen(job)) return false
  const pooled = attempts.at(-1)?.pooled
  return pooled === undefined ? isOutOfSight(job, attempts) : isDoubtful(pooled, nowMs)
}

/** Its pod does not answer, or the caches show no process that could. */
function isDoubtful(pooled: PooledView, nowMs: number): boolean {
  if (isPooledOver(pooled)) return false
  return pooled.pod === 'Doubtful' || isSilent(pooled, nowMs)
}

/** The attempt whose report is needed, if any. */
export function reportNeeded(local: LocalFacts, confirmedGone: boolean): number | undefined {
  if (!isOpen(local.job)) return undefined
  const facts = { ...local, confirmedGone }
  const state = attemptState(facts)
  return state.kind !== 'None' && needsReport({ facts, state }) ? state.attempt.number : undefined
}

/** The api prices by the Model, so it is asked only when there is one that serves the job. */
export function needsHold(local: LocalFacts): boolean {
  const { job } = local
  if (!isOpen(job) || isReserved(job) || !modelsAreReady(job, local)) return false
  const facts = { ...local, confirmedGone: false }
  return firstVerdict({ facts, state: attemptState(facts) }) === undefined
}

/**
 * The Job that is about to be given up because Kueue has taken its place back, if any. The caches
 * may show that before they show that its Workload was deactivated, so the API server is asked.
 */
export function workloadNeeded(local: LocalFacts): AttemptJobView | undefined {
  const { job, kueue } = local
  if (!isOpen(job) || job.spec.suspend || kueue?.isServed !== true) return undefined
  const facts = { ...local, confirmedGone: false }
  const state = attemptState(facts)
  if (state.kind !== 'Live' || firstVerdict({ facts, state }) !== undefined) return undefined
  const { job: own } = state.attempt
  return own?.deleting === false && hasLostQuota(local, state.attempt) ? own : undefined
}

/** Whether only the settlement stands between the job and its deletion. */
export function needsSettlement({ job, nowMs }: LocalFacts): boolean {
  const dueMs = expiryMs(job)
  return isTerminal(job) && dueMs !== undefined && nowMs >= dueMs
}

function isOpen(job: Facts['job']): boolean {
  return !isTerminal(job) && job.metadata.deletionTimestamp === undefined
}
