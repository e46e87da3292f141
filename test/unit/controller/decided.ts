import { findCondition } from '../../../src/controller/conditions.ts'
import { decide } from '../../../src/controller/generation-job/decide.ts'
import type { Decision } from '../../../src/controller/generation-job/decision.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { observed, type ObservedOptions } from './builders.ts'

export const settings = { allowCpu: false, retryBaseMs: 10_000 }

/** A decision in the words of the tests. */
export type Decided = {
  readonly kinds: readonly string[]
  readonly actions: Decision['actions']
  /** What the status patch sets; empty when nothing is written. */
  readonly patch: Readonly<Record<string, unknown>> & GenerationJobStatus
  /** `status/reason` by condition type, of the conditions that are written. */
  readonly conditions: Readonly<Record<string, string>>
  readonly messageOf: (type: string) => string | undefined
  readonly events: readonly string[]
  readonly recheckAfterMs: number | undefined
  readonly outcome: string | undefined
}

export function decided(options: ObservedOptions = {}): Decided {
  const decision = decide(observed(options), settings)
  const written = decision.actions.find(({ kind }) => kind === 'WriteStatus')
  const patch: Decided['patch'] = written?.kind === 'WriteStatus' ? { ...written.patch } : {}
  const conditions = patch.conditions ?? []
  return {
    kinds: decision.actions.map(({ kind }) => kind),
    actions: decision.actions,
    patch,
    conditions: Object.fromEntries(
      conditions.map(({ type, status, reason }) => [type, `${status}/${reason}`]),
    ),
    messageOf: (type) => findCondition(conditions, type)?.message,
    events: decision.actions.flatMap((action) =>
      action.kind === 'RecordEvent' ? [action.event.reason] : [],
    ),
    recheckAfterMs: decision.recheckAfterMs,
    outcome: decision.outcome,
  }
}
