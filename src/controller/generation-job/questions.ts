import { attemptState, isOutOfSight, isPooledOver } from './attempt.ts'
import { firstVerdict, needsReport } from './checks.ts'
import { isReserved, isTerminal, modelsAreReady } from './eligibility.ts'
import type { Facts, PooledView } from './observed.ts'
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

/** Whether only the settlement stands between the job and its deletion. */
export function needsSettlement({ job, nowMs }: LocalFacts): boolean {
  const dueMs = expiryMs(job)
  return isTerminal(job) && dueMs !== undefined && nowMs >= dueMs
}

function isOpen(job: Facts['job']): boolean {
  return !isTerminal(job) && job.metadata.deletionTimestamp === undefined
}
