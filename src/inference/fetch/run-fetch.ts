import { writeFile } from 'node:fs/promises'
import { sleep } from '../../platform/clock/sleep.ts'
import { systemClock } from '../../platform/clock/system-clock.ts'
import { type FetchConfig, readFetchConfig } from '../../platform/config/fetch.ts'
import { createLogger } from '../../platform/log/logger.ts'
import { exitCodes } from '../../shared/domain/pod-contract.ts'
import { isAppError } from '../../shared/errors.ts'
import type { FetchProgress } from '../../shared/wire/internal.ts'
import { deliverReport } from '../pod/deliver-report.ts'
import { type InternalApi, openInternalApi } from '../pod/internal-api.ts'
import { ProgressPoster } from '../pod/progress-poster.ts'
import { fetchPacks } from './fetch-packs.ts'
import { fetchTiming, FETCH_MS_MAX, LOG_EVERY_MS, POST_EVERY_MS } from './limits.ts'

const callTimeoutMs = 15_000
const reportForMs = 30_000
const heartbeatMs = 5000

type OnError = (error: unknown, doing: string) => void

/**
 * The whole life of the init container that fetches packs. Returns the exit code; for a job a
 * failure is reported as that of the attempt, because the container that would do so never runs.
 */
export async function runFetch(stop: AbortSignal): Promise<number> {
  const config = readFetchConfig()
  const log = createLogger({ process: 'fetch', level: config.logLevel })
  const onError: OnError = (error, doing) => log.warn({ doing, error }, 'something went wrong')
  const api = openApi(config)
  const poster = api && startPoster(api, onError)
  let loggedMs = -Infinity
  try {
    await fetchPacks({
      ...config,
      timing: fetchTiming,
      clock: systemClock,
      random: Math.random,
      signal: withLimit(stop),
      onProgress: (fetch) => {
        poster?.update(snapshotOf(fetch))
        if (systemClock.nowMs() - loggedMs < LOG_EVERY_MS) return
        loggedMs = systemClock.nowMs()
        log.info(fetch, 'fetching')
      },
      onEvicted: (digest) => log.info({ digest }, 'evicted a pack'),
      onError,
    })
    log.info('all packs are there')
    return exitCodes.completed
  } catch (error) {
    if (stop.aborted) return exitCodes.cancelled
    log.error({ error }, 'the packs cannot be fetched')
    await tell(error, { config, api, stop, onError })
    return exitCodes.failed
  } finally {
    await poster?.stop()
  }
}

function openApi({ reporting }: FetchConfig): InternalApi | undefined {
  if (reporting === undefined) return undefined
  const { jobId, attempt: number, apiUrl: baseUrl, tokenFile } = reporting
  return openInternalApi({
    baseUrl,
    tokenFile,
    attempt: { jobId, number },
    timeoutMs: callTimeoutMs,
  })
}

function startPoster(api: InternalApi, onError: OnError): ProgressPoster {
  return new ProgressPoster({
    post: api.progress,
    pauseMs: POST_EVERY_MS,
    heartbeatMs,
    onError: (error) => onError(error, 'posting progress'),
  })
}

function snapshotOf(fetch: FetchProgress) {
  const counts = { step: 0, steps: 0, imagesDone: 0, images: 0, stepsDone: 0 }
  return { stage: 'FetchingModel' as const, ...counts, fetch }
}

/** Fires at a stop, and when the fetching has taken too long. */
function withLimit(stop: AbortSignal): AbortSignal {
  const limit = new AbortController()
  sleep(FETCH_MS_MAX, stop).then(
    () => limit.abort(new Error('fetching has taken too long')),
    () => undefined,
  )
  return AbortSignal.any([stop, limit.signal])
}

type Telling = {
  readonly config: FetchConfig
  readonly api: InternalApi | undefined
  readonly stop: AbortSignal
  readonly onError: OnError
}

/** The api hears it as the end of the attempt; `kubectl describe pod` shows the message. */
async function tell(error: unknown, { config, api, stop, onError }: Telling): Promise<void> {
  const code = isAppError(error) ? `${error.code}: ` : ''
  const message = `${code}${error instanceof Error ? error.message : String(error)}`.slice(0, 4000)
  try {
    await writeFile(config.terminationLog, message)
  } catch (problem) {
    onError(problem, 'writing the termination message')
  }
  if (api === undefined) return
  await deliverReport(
    { reason: 'Failed', message, outputs: [], stepsDone: 0 },
    {
      api,
      onError,
      retry: { clock: systemClock, random: Math.random, forMs: reportForMs, signal: stop },
    },
  )
}
