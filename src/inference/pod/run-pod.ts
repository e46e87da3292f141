import process from 'node:process'
import { systemClock } from '../../platform/clock/system-clock.ts'
import { readInferenceConfig } from '../../platform/config/inference.ts'
import { createLogger } from '../../platform/log/logger.ts'
import type { Runner } from '../runner/parent.ts'
import { cpuBudget } from '../runtime/cpu-budget.ts'
import { chooseProvider, imagesPerRunOf } from '../runtime/execution-provider.ts'
import { memoryBudgetBytes } from '../runtime/memory-budget.ts'
import { deliverReport, exitCodeOf } from './deliver-report.ts'
import { openInternalApi } from './internal-api.ts'
import { startModel } from './load-model.ts'
import { runAttempt } from './run-attempt.ts'
import { deadlineAfter } from './stop-signals.ts'

const callTimeoutMs = 15_000

/** The whole life of a job pod: one job, one report. Returns the exit code. */
export async function runPod(runner: Runner, stop: AbortSignal): Promise<number> {
  const config = readInferenceConfig()
  const log = createLogger({ process: 'inference', level: config.logLevel })
  const attempt = { jobId: config.jobId, number: config.attempt }
  const graceMs = config.graceSeconds * 1000
  const deadline = deadlineAfter(stop, graceMs)
  const onError = (error: unknown, doing: string) =>
    log.warn({ ...attempt, doing, error }, 'something went wrong')
  const api = openInternalApi({
    baseUrl: config.apiUrl,
    tokenFile: config.tokenFile,
    attempt,
    timeoutMs: callTimeoutMs,
  })
  const [clock, random] = [systemClock, Math.random]
  const provider = chooseProvider(config.executionProvider)
  const memoryBytes = memoryBudgetBytes()
  const { modelFolder } = config
  const report = await runAttempt({
    api,
    runner,
    model: startModel({ runner, modelFolder, threads: cpuBudget(), provider, memoryBytes }),
    stop,
    deadline,
    clock,
    random,
    onError,
    inputsFolder: config.inputsFolder,
    firstSequence: config.firstSequence,
    loraFolder: (_lora, index) => config.loraFolders[index],
    memoryBytes,
    imagesPerRun: (batchSize) => imagesPerRunOf(provider, batchSize),
    startedMs: clock.nowMs() - process.uptime() * 1000,
    graceMs: graceMs / 2,
  })
  const { reason, stepsDone, timings } = report
  log.info({ ...attempt, reason, stepsDone, timings }, 'attempt ended')
  await Promise.all([
    deliverReport(report, {
      api,
      onError,
      terminationLog: config.terminationLog,
      retry: { clock, random, forMs: 60_000, signal: deadline },
    }),
    runner.close(),
  ])
  return exitCodeOf(reason)
}
