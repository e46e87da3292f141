import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { systemClock } from '../platform/clock/system-clock.ts'
import { type ControllerConfig, readControllerConfig } from '../platform/config/controller.ts'
import { addressText } from '../platform/http/listen.ts'
import { startMetricsServer } from '../platform/http/metrics-server.ts'
import { type KubeClient, openKubeClient } from '../platform/kube/client.ts'
import { type Election, standForElection } from '../platform/kube/lease.ts'
import { openTokenReader } from '../platform/kube/token-reader.ts'
import { reviewToken } from '../platform/kube/tokens.ts'
import { createLogger, type Logger } from '../platform/log/logger.ts'
import { createRegistry } from '../platform/metrics/registry.ts'
import { isAppError } from '../shared/errors.ts'
import { controllerAudience, controllerLease, systemNamespace } from '../shared/names.ts'
import { openApiClient } from './api-client.ts'
import { API_TIMEOUT_MS, STOP_TIMEOUT_MS } from './limits.ts'
import { type Controller, startController } from './manager.ts'
import { type ControllerMetrics, createControllerMetrics } from './metrics.ts'
import { type QueueServer, type QueueServerOptions, startQueueServer } from './queue/server.ts'

const NAME = 'atelier-controller'

async function main(): Promise<void> {
  const config = readControllerConfig()
  const log = createLogger({ process: NAME, level: config.logLevel })
  const { started, stop } = await start(config, log)
  let isEnding = false
  const end = (code: number) => {
    isEnding = true
    // A connection that hangs must not keep the process: every step may be repeated anyway.
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref()
    stop().then(
      () => process.exit(code),
      () => process.exit(1),
    )
  }
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => {
      log.info({ signal: name }, 'the controller stops')
      end(0)
    })
  }
  started().catch((error: unknown) => {
    if (isEnding) return
    // It would hold the Lease and do nothing.
    log.fatal({ err: error }, 'the controller cannot begin')
    end(1)
  })
}

type Running = Pick<Controller, 'started' | 'stop'>

async function start(config: ControllerConfig, log: Logger): Promise<Running> {
  const registry = createRegistry(NAME)
  const metrics = createControllerMetrics(registry)
  const stopping = new AbortController()
  const client = openKubeClient({
    kubeconfigPath: config.kubeconfigPath,
    userAgent: NAME,
    observe: metrics.kubeRequest,
  })
  const parts: { controller?: Controller } = {}
  // Before the election: two processes that share a port share a pod name, and one ends here.
  const server = await startMetricsServer({
    listen: config.metricsListen,
    registry,
    ready: () => parts.controller?.isReady() ?? false,
  })
  const queue = await serveQueue(config, {
    client,
    metrics,
    log,
    answers: () => parts.controller?.queue(),
  })
  const address = queue === undefined ? undefined : addressText(queue.address)
  const election = config.leaderElection ? stand({ ...config, address }, client, log) : undefined
  const controller = startController({
    client,
    leadership: election,
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
    randomBytes,
    onError: (error, fields) => log.warn({ ...fields, err: error }, 'tried again later'),
  })
  parts.controller = controller
  return {
    started: async () => {
      await controller.started()
      log.info({ server: client.server }, 'the controller works')
    },
    stop: async () => {
      stopping.abort(new Error('the controller stops'))
      await controller.stop()
      await election?.stop()
      await queue?.close()
      await server.close()
      await client.close()
    },
  }
}

type QueueParts = Pick<QueueServerOptions, 'answers'> & {
  readonly client: KubeClient
  readonly metrics: ControllerMetrics
  readonly log: Logger
}

async function serveQueue(
  { queueListen: listen }: ControllerConfig,
  { client, metrics, log, answers }: QueueParts,
): Promise<QueueServer | undefined> {
  if (listen === undefined) return undefined
  const review = async (token: string) => await reviewToken(client, token, [controllerAudience])
  return await startQueueServer({
    listen,
    answers,
    tokens: openTokenReader({ review, clock: systemClock }),
    newId: () => randomBytes(8).toString('hex'),
    onAnswer: metrics.queueQuestion,
    onError: (error) => log.warn({ err: error }, 'a question about the queue was not answered'),
  })
}

type Standing = ControllerConfig & { readonly address: string | undefined }

/** Who has lost the lead ends: nothing that it had begun may go on beside the new leader. */
function stand({ podName, leaseSeconds, address }: Standing, client: KubeClient, log: Logger) {
  const election: Election = standForElection({
    client,
    lease: { namespace: systemNamespace, name: controllerLease },
    address,
    identity: `${podName ?? hostname()}_${randomBytes(5).toString('hex')}`,
    predecessorPrefix: podName === undefined ? undefined : `${podName}_`,
    leaseSeconds,
    clock: systemClock,
    monotonicMs: () => performance.now(),
    random: Math.random,
    onError: (error) => log.warn({ err: error }, 'the lease is tried again'),
  })
  election.lost().then(
    (reason) => {
      log.fatal(reason.message)
      process.exit(1)
    },
    () => undefined,
  )
  return election
}

main().catch((error: unknown) => {
  const text = isAppError(error) ? error.message : error instanceof Error ? error.stack : error
  process.stderr.write(`${NAME}: ${String(text)}\n`)
  process.exit(1)
})
