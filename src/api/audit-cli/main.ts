import { systemClock } from '../../platform/clock/system-clock.ts'
import { readAuditConfig } from '../../platform/config/audit.ts'
import { isAppError } from '../../shared/errors.ts'
import { readAuditCommand, usage } from './command.ts'
import { reportText } from './report-text.ts'
import { auditOnce } from './run.ts'

/** `npm run audit`: see `usage`. */
const exitCodes = { equal: 0, different: 1, failed: 2 } as const

async function run(): Promise<number> {
  const command = readAuditCommand(process.argv.slice(2))
  if (command.kind === 'Help') {
    process.stdout.write(usage)
    return exitCodes.equal
  }
  if (command.kind === 'Wrong') {
    process.stderr.write(`${command.problem}\n\n${usage}`)
    return exitCodes.failed
  }
  const report = await auditOnce(readAuditConfig(), systemClock)
  process.stdout.write(reportText(report, command))
  for (const { check, error } of report.failed) {
    process.stderr.write(`audit: could not check ${check}: ${String(error)}\n`)
  }
  if (report.drift === null) return exitCodes.failed
  return report.drift === 0 ? exitCodes.equal : exitCodes.different
}

process.exitCode = await run().catch((error: unknown) => {
  const text = isAppError(error) || !(error instanceof Error) ? String(error) : error.stack
  process.stderr.write(`audit: ${text}\n`)
  return exitCodes.failed
})
