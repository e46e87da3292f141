import type { Condition } from '../crd/common.ts'
import { generationJobReasons } from '../crd/conditions.ts'
import type { GenerationJobStatus } from '../crd/generation-job.ts'
import type { JobState } from '../wire/jobs.ts'

export type StatusFacts = {
  readonly state: JobState
  readonly reason: string
  readonly message: string
}

/** The order in which a job passes them: the first that is not True explains the waiting. */
const stages = ['ModelReady', 'CreditsReserved', 'Admitted', 'PodsReady'] as const

/** One word for people out of the conditions of a custom resource, with its reason and sentence. */
export function describeStatus(status: GenerationJobStatus | undefined): StatusFacts {
  const conditions = status?.conditions ?? []
  const succeeded = find(conditions, 'Succeeded')
  if (succeeded !== undefined && succeeded.status !== 'Unknown') {
    return facts(terminalState(succeeded), succeeded)
  }
  const pods = find(conditions, 'PodsReady')
  if (pods?.status === 'True') return facts('Running', pods)
  const waiting = stages
    .map((type) => find(conditions, type))
    .find((condition) => condition !== undefined && condition.status !== 'True')
  if (waiting !== undefined) return facts('Pending', waiting)
  return { state: 'Pending', ...acceptedReason }
}

/** Before the controller has said anything. */
export const acceptedReason = {
  reason: 'Pending',
  message: 'The job is accepted and waits for the controller.',
} as const

/** A custom resource that somebody deleted: that is a cancel. */
export const deletedReason = {
  reason: 'Cancelled',
  message: 'The job was deleted, which cancels it.',
} as const

export function isTerminalStatus(status: GenerationJobStatus | undefined): boolean {
  const succeeded = find(status?.conditions ?? [], 'Succeeded')
  return succeeded !== undefined && succeeded.status !== 'Unknown'
}

function terminalState({ status, reason }: Condition): JobState {
  if (status === 'True') return 'Completed'
  return reason === 'Cancelled' ? 'Cancelled' : 'Failed'
}

function facts(state: JobState, { type, reason, message }: Condition): StatusFacts {
  return { state, reason, message: message === '' ? sentenceOf(type, reason) : message }
}

function sentenceOf(type: string, reason: string): string {
  const table: Readonly<Record<string, Readonly<Record<string, string>>>> = generationJobReasons
  return table[type]?.[reason] ?? ''
}

function find(conditions: readonly Condition[], type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type)
}
