import { podPaths } from '../../shared/domain/pod-contract.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../platform/log/logger.ts'
import { deliverReport } from '../pod/deliver-report.ts'
import { openInternalApi } from '../pod/internal-api.ts'
import { InternalApiError, isWorthRetrying } from '../pod/internal-api-error.ts'
import { runAttempt } from '../pod/run-attempt.ts'
import type { EndReason } from '../../platform/pool-pod/assignments.ts'
import { callTimeoutMs, cancelGraceMs, reportForMs } from './limits.ts'
import type { Lent } from './slot.ts'

/** What all jobs of the pod share. */
export type JobSurroundings = {
  readonly apiUrl: string
  readonly tokenFile: string
  readonly loraFolders: ReadonlyMap<string, string>
  readonly memoryBytes: number
  readonly imagesPerRun: (batchSize: number) => number
  readonly clock: Clock
  readonly random: () => number
  /** From here on nothing may be waited for. */
  readonly deadline: AbortSignal
  readonly log: Logger
}

export type PooledJob = {
  readonly jobId: string
  readonly attempt: number
  readonly model: string
  readonly stop: AbortSignal
}

/** Does one attempt with a slot's runner, hands its report to the api and says how it ended. */
export async function doJob(
  { jobId, attempt, model, stop }: PooledJob,
  lent: Lent,
  around: JobSurroundings,
): Promise<EndReason> {
  const { clock, random, deadline, loraFolders, memoryBytes, imagesPerRun } = around
  const log = around.log.child({ jobId, attempt })
  const onError = (error: unknown, doing: string) =>
    log.warn({ doing, error }, 'something went wrong')
  const api = openInternalApi({
    baseUrl: around.apiUrl,
    tokenFile: around.tokenFile,
    attempt: { jobId, number: attempt },
    timeoutMs: callTimeoutMs,
  })
  const report = await runAttempt({
    ...lent,
    api,
    clock,
    random,
    stop,
    deadline,
    memoryBytes,
    imagesPerRun,
    onError,
    loraFolder: ({ name }) => loraFolders.get(name),
    // No ConfigMap is mounted here; a job that names one is refused by its input's name.
    inputsFolder: podPaths.inputs,
    startedMs: clock.nowMs(),
    graceMs: cancelGraceMs,
  })
  const retry = { clock, random, forMs: reportForMs, signal: deadline, worthRetrying }
  await deliverReport(report, { api, onError, retry })
  const { reason, stepsDone, timings } = report
  log.info({ model, reason, stepsDone, timings }, 'attempt ended')
  return reason
}

/** The attempt was the current one when it got its work: if it is not any more, it never will be. */
function worthRetrying(error: unknown): boolean {
  if (error instanceof InternalApiError && error.code === 'attempt.not_current') return false
  return isWorthRetrying(error)
}
