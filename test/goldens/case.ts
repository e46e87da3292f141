import { isAppError } from '../../src/shared/errors.ts'
import type { CaseResult, Check } from './measure.ts'

type Skipped = { readonly skipped: string }
type Outcome = readonly Check[] | Skipped

/** Runs one case: what is not implemented is skipped with its reason, a crash is a failure. */
export async function caseOf(
  name: string,
  compare: () => Outcome | Promise<Outcome>,
): Promise<CaseResult> {
  try {
    const outcome = await compare()
    if ('skipped' in outcome) return { kind: 'Skipped', name, reason: outcome.skipped }
    return { kind: 'Compared', name, checks: outcome }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const kind = isAppError(error, 'inference.unsupported') ? 'Skipped' : 'Broken'
    return { kind, name, reason }
  }
}
