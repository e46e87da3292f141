import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { exitCodes, type TerminationMessage } from '../../shared/domain/pod-contract.ts'
import { unreachable } from '../../shared/assert.ts'
import type { Report } from '../../shared/wire/internal.ts'
import type { InternalApi } from './internal-api.ts'
import { retry, type RetryOptions } from './retry.ts'

export type DeliveryOptions = {
  readonly api: Pick<InternalApi, 'report'>
  /** Absent in a pool: its pod does not end with the job. */
  readonly terminationLog?: string
  readonly retry: RetryOptions
  readonly onError: (error: unknown, doing: string) => void
}

/**
 * Posts the report and leaves the termination message, if any, in this order: a message promises
 * that the report was offered. Without an answer the api falls back on the confirmed uploads.
 */
export async function deliverReport(report: Report, options: DeliveryOptions): Promise<void> {
  const body = JSON.stringify(report)
  const { signal } = options.retry
  await retry(() => options.api.report(body, signal), options.retry).catch((error: unknown) =>
    options.onError(error, 'posting the report'),
  )
  const { terminationLog } = options
  if (terminationLog === undefined) return
  const message: TerminationMessage = {
    reason: report.reason,
    digest: createHash('sha256').update(body).digest('hex'),
  }
  await writeFile(terminationLog, JSON.stringify(message)).catch((error: unknown) =>
    options.onError(error, 'writing the termination message'),
  )
}

export function exitCodeOf(reason: Report['reason']): number {
  switch (reason) {
    case 'Completed':
      return exitCodes.completed
    case 'Cancelled':
      return exitCodes.cancelled
    case 'InvalidInput':
      return exitCodes.invalidInput
    case 'Failed':
      return exitCodes.failed
    default:
      return unreachable(reason)
  }
}
