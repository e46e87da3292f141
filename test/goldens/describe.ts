import { type CaseResult, type Check, failedChecks, type GroupResult } from './measure.ts'
import { countCases, isFailed } from './run-goldens.ts'

/** Counts and worst errors of a group, then every failed and every skipped case by name. */
export function describeGroup(result: GroupResult): string {
  const { passed, failed, skipped } = countCases([result])
  const heading = `${result.group}: passed ${passed} failed ${failed} skipped ${skipped}`
  return [
    heading,
    ...worstErrors(result.cases),
    ...result.cases.filter(isFailed).map(describeFailure),
    ...skippedByReason(result.cases),
  ].join('\n')
}

/**
 * Of each quantity the error that comes closest to its tolerance, which a case may have of its
 * own; numbered quantities are taken together.
 */
function worstErrors(cases: readonly CaseResult[]): readonly string[] {
  const worst = new Map<string, Check>()
  for (const check of cases.flatMap((item) => (item.kind === 'Compared' ? item.checks : []))) {
    const what = check.what.replace(/ at \d+$/, '')
    const known = worst.get(what)
    if (known === undefined || isCloser(check, known)) worst.set(what, check)
  }
  return [...worst].map(
    ([what, { error, tolerance }]) =>
      `  worst ${what}: ${error.toExponential(2)} (tolerance ${tolerance})`,
  )
}

/** Multiplied out, because a tolerance may be 0. */
function isCloser(check: Check, known: Check): boolean {
  const [here, there] = [check.error * known.tolerance, known.error * check.tolerance]
  return here === there ? check.error > known.error : here > there
}

function describeFailure(result: CaseResult): string {
  if (result.kind !== 'Compared') return `  FAILED ${result.name}: ${reasonOf(result)}`
  const checks = failedChecks(result).map(
    (check) => `${check.what} ${check.error.toExponential(2)} > ${check.tolerance}`,
  )
  return `  FAILED ${result.name}: ${checks.join(', ')}`
}

function reasonOf(result: CaseResult): string {
  return result.kind === 'Compared' ? '' : result.reason
}

function skippedByReason(cases: readonly CaseResult[]): readonly string[] {
  const byReason = Map.groupBy(
    cases.filter((item) => item.kind === 'Skipped'),
    reasonOf,
  )
  return [...byReason].flatMap(([reason, items]) => [
    `  skipped ${items.length}: ${reason}`,
    ...items.map((item) => `    - ${item.name}`),
  ])
}
