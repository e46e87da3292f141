import { randomBytes } from 'node:crypto'
import { systemClock } from '../platform/clock/system-clock.ts'
import { type ApiConfig, readApiConfig } from '../platform/config/api.ts'
import { startMetricsServer } from '../platform/http/metrics-server.ts'
import { type KubeClient, openKubeClient } from '../platform/kube/client.ts'
import { createLogger, type Logger } from '../platform/log/logger.ts'
import { countKubeRequests } from '../platform/metrics/kube-metrics.ts'
import { createRegistry } from '../platform/metrics/registry.ts'
import { openFolderStore } from '../platform/objects/folder-store.ts'
import { createSeal } from '../platform/seal/seal.ts'
import { newJobId } from '../shared/domain/job-id.ts'
import { openApiCore } from './composition.ts'
import { transferMsMax } from './internal/object-routes.ts'
import { noLeader, openLeader, type OpenLeader } from './features/queue/leader.ts'
import { readIssuers } from './features/sso/issuers.ts'
import { type ApiMetrics, createApiMetrics, exportLedgerFigures } from './metrics.ts'
import { createHttpApp } from './plugins/http-app.ts'
import { registerRequestLog } from './plugins/request-log.ts'
import { openPublicApi } from './public.ts'
import { startReadiness } from './readiness.ts'
import { readSecrets } from './secrets.ts'

/** Config, connections, core, three servers; and all of it back in reverse on SIGTERM. */
async function run(log: Logger): Promise<void> {
  const config = readApiConfig()
  log.level = config.logLevel
  const { publicUrl, internalUrl } = config
  const secrets = await readSecrets(config.secretsFolder)
  const registry = createRegistry('api')
  const kube = openKubeClient({
    kubeconfigPath: config.kubeconfigPath,
    userAgent: 'atelier-api',
    observe: countKubeRequests(registry),
  })
  const metrics = createApiMetrics(registry)
  const leader = openQueueLeader(config, { kube, metrics, log })
  const seal = createSeal(secrets.sealKey, randomBytes)
  const shared = { ...secrets, seal, publicUrl, clock: systemClock, randomBytes, log }
  const core = await openApiCore({
    ...shared,
    kube,
    installation: config.installation,
    internalUrl,
    mongodbUri: config.mongodbUri,
    redisUrl: config.redisUrl,
    objects: await openFolderStore(config.objectsFolder),
    random: Math.random,
    leader,
  })
  exportLedgerFigures(registry, core.ledgerFigures)
  const publicApi = await openPublicApi({
    ...shared,
    ...publicSettings(config),
    core,
    metrics,
    issuers: await readIssuers(config.oidcIssuersFile),
  })
  if (config.demoAccountsFile !== undefined) {
    await publicApi.loadDemoAccounts(config.demoAccountsFile)
  }
  const internalApp = createHttpApp({
    log,
    publicUrl: internalUrl,
    newRequestId,
    bodyBytesMax,
    requestTimeoutMs: transferMsMax,
  })
  registerRequestLog(internalApp)
  core.registerInternal(internalApp)
  const readiness = startReadiness({
    ping: core.database.ping,
    isSynced: core.isReady,
    clock: systemClock,
  })
  const metricsServer = await startMetricsServer({
    listen: config.metricsListen,
    registry,
    ready: () => publicApi.app.server.listening && readiness.isReady(),
  })
  await core.start(publicApi.leaderTasks)
  await internalApp.listen(config.internalListen)
  await publicApi.app.listen(config.listen)
  log.info({ publicUrl, ...config.listen }, 'the api is listening')
  await stopSignal()
  log.info({}, 'the api is stopping')
  await publicApi.app.close()
  await internalApp.close()
  readiness.stop()
  await core.close()
  await metricsServer.close()
  await leader.close()
  await kube.close()
}

type LeaderParts = {
  readonly kube: KubeClient
  readonly metrics: ApiMetrics
  readonly log: Logger
}

/** Without a token nobody would answer. */
function openQueueLeader(config: ApiConfig, { kube, metrics, log }: LeaderParts): OpenLeader {
  const { controllerTokenFile: tokenFile } = config
  if (tokenFile === undefined) return { ...noLeader, close: async () => undefined }
  return openLeader({
    kube,
    tokenFile,
    clock: systemClock,
    count: (question, outcome) => metrics.leaderQuestions.inc({ question, outcome }),
    onError: (error) => log.info({ err: error }, 'the controller does not say why jobs wait'),
  })
}

/** What the public port knows of the configuration: no folders, no database address. */
function publicSettings(config: ApiConfig) {
  const { redisUrl, smtpUrl, mailFrom, firstAdminEmail } = config
  const { trustedProxies, corsOrigins, rateLimits } = config
  return { redisUrl, smtpUrl, mailFrom, firstAdminEmail, trustedProxies, corsOrigins, rateLimits }
}

/** Reports of large jobs come here; uploads are streams with limits of their own. */
const bodyBytesMax = 4 * 1024 * 1024

function newRequestId(): string {
  return newJobId(systemClock.nowMs(), randomBytes)
}

async function stopSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}

const log = createLogger({ process: 'api' })
run(log).then(
  () => process.exit(0),
  (error: unknown) => {
    log.error({ err: error }, 'the api cannot run')
    process.exit(1)
  },
)
