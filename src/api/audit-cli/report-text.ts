import type { AuditReport } from '../tasks/audit/auditor.ts'

/** Lines for people and for `cut`, or one JSON object. What failed is told beside it. */
export function reportText(report: AuditReport, { isJson }: { readonly isJson: boolean }): string {
  if (isJson) return `${JSON.stringify(forJson(report), null, 2)}\n`
  const lines = report.differences.map(({ kind, id, message }) => `${kind}\t${id}\t${message}`)
  return [...lines, `drift ${report.drift ?? 'unknown'}`, ''].join('\n')
}

/** An error has no JSON. */
function forJson(report: AuditReport) {
  return { ...report, failed: report.failed.map(({ check }) => check) }
}
