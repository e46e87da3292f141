import type { AuditReport } from '../tasks/audit/auditor.ts'

/** Lines for people and for `cut`, or one JSON object. */
export function reportText(report: AuditReport, { isJson }: { readonly isJson: boolean }): string {
  if (isJson) return `${JSON.stringify(report, null, 2)}\n`
  const lines = report.differences.map(({ kind, id, message }) => `${kind}\t${id}\t${message}`)
  return [...lines, `drift ${report.drift}`, ''].join('\n')
}
