import { systemClock } from '../platform/clock/system-clock.ts'
import { type ControllerConfig, readControllerConfig } from '../platform/config/controller.ts'
import { startMetricsServer } from '../platform/http/metrics-server.ts'
import { openKubeClient } from '../platform/kube/client.ts'
import { createLogger, type Logger } from '../platform/log/logger.ts'
import { createRegistry } from '../platform/metrics/registry.ts'
import { isAppError } from '../shared/errors.ts'
import { openApiClient } from './api-client.ts'
import { API_TIMEOUT_MS, STOP_TIMEOUT_MS } from './limits.ts'
import { startController } from './manager.ts'
import { createControllerMetrics } from './metrics.ts'

const NAME = 'atelier-controller'

async function main(): Promise<void> {
  const config = readControllerConfig()
  const log = createLogger({ process: NAME, level: config.logLevel })
  const stop = await start(config, log)
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info({ signal: name }, 'the controller stops')
      // A connection that hangs must not keep the process: every step may be repeated anyway.
      setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref()
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    })
  }
}

async function start(config: ControllerConfig, log: Logger): Promise<() => Promise<void>> {
  const registry = createRegistry(NAME)
  const metrics = createControllerMetrics(registry)
  const stopping = new AbortController()
  const client = openKubeClient({
    kubeconfigPath: config.kubeconfigPath,
    userAgent: NAME,
    observe: metrics.kubeRequest,
  })
  const controller = startController({
    client,
    api: openApiClient({
      baseUrl: config.apiInternalUrl,
      tokenFile: config.internalTokenFile,
      timeoutMs: API_TIMEOUT_MS,
      signal: stopping.signal,
    }),
    settings: config,
    watchNamespace: config.watchNamespace,
    metrics,
    clock: systemClock,
    random: Math.random,
    onError: (error, fields) => log.warn({ ...fields, err: error }, 'tried again later'),
  })
  const server = await startMetricsServer({
    listen: config.metricsListen,
    registry,
    ready: () => controller.isReady(),
  })
  controller.started().then(
    () => log.info({ server: client.server }, 'the controller works'),
    () => undefined,
  )
  return async () => {
    stopping.abort(new Error('the controller stops'))
    await controller.stop()
    await server.close()
    await client.close()
  }
}

main().catch((error: unknown) => {
  const text = isAppError(error) ? error.message : error instanceof Error ? error.stack : error
  process.stderr.write(`${NAME}: ${String(text)}\n`)
  process.exit(1)
})
