import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalConfig } from '../platform/config/local.ts'
import { type KubeClient, openKubeClient } from '../platform/kube/client.ts'
import type { Clock } from '../shared/clock.ts'
import { cacheFolder, printLine, runStep } from './bootstrap/steps.mjs'
import { type DatabasePlan, planDatabase, startDatabase } from './components/database.ts'
import { startKubernetes } from './components/kubernetes.ts'
import { type KubernetesPrograms, resolveKubernetes } from './components/kubernetes-programs.ts'
import { type MailCatcher, startMailCatcher } from './components/mail-catcher.ts'
import { planRedis, type RedisPlan, startRedis } from './components/redis.ts'
import { type DemoAccounts, makeDemoAccounts } from './demo-accounts.ts'
import { applyPlatform } from './manifests.ts'
import { checkPorts, type PortName, type Ports } from './ports.ts'
import {
  apiSpec,
  controllerSpec,
  imageMapText,
  type ModelSources,
  nodeAgentSpec,
  type ProductSettings,
  urlOf,
} from './product.ts'
import { likeDeployment, type Restartable, startRestartable } from './restartable.ts'
import { makeSecrets } from './secrets.ts'
import { keepServiceAccountFiles } from './service-accounts.ts'
import type { Supervisor } from './supervisor.ts'
import { together } from './together.ts'

/** What to start or use for each part; making it may build or install things, once. */
export type FoundationPlan = {
  /** undefined: the existing cluster of ATELIER_KUBECONFIG. */
  readonly kubernetes: KubernetesPrograms | undefined
  readonly database: DatabasePlan
  readonly redis: RedisPlan
}

/** Addresses of the running parts that are not ours. */
export type Foundation = {
  /** Admin kubeconfig. */
  readonly kubeconfigPath: string
  /** Without a database name, unless MONGODB_URI has one. */
  readonly mongodbUri: string
  readonly redisUrl: string
  /** One line per part: what it is and where it comes from. */
  readonly descriptions: readonly string[]
}

export async function planFoundation(
  config: LocalConfig,
  signal: AbortSignal,
): Promise<FoundationPlan> {
  const [kubernetes, database, redis] = await together(signal, (either) => [
    config.kubeconfigPath === undefined
      ? resolveKubernetes(config, either)
      : Promise.resolve(undefined),
    planDatabase(config, either),
    planRedis(config, either),
  ])
  return { kubernetes, database, redis }
}

export type FoundationOptions = {
  readonly plan: FoundationPlan
  readonly config: LocalConfig
  readonly folder: string
  readonly ports: Ports
  /** False: no fsync, for tests. */
  readonly durable: boolean
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Starts Kubernetes, the database and Redis side by side and installs the manifests. */
export async function startFoundation(
  supervisor: Supervisor,
  options: FoundationOptions,
): Promise<Foundation> {
  const { plan, ports, folder } = options
  await checkPorts(ports, usedPorts(plan))
  const [kubeconfigPath, database, redisUrl] = await Promise.all([
    runStep('Kubernetes', () => startCluster(supervisor, options)),
    runStep('database', () => startDatabase(supervisor, plan.database, options)),
    runStep('Redis', () => redisUrlOf(supervisor, plan.redis, { folder, port: ports.redis })),
  ])
  return {
    kubeconfigPath,
    mongodbUri: database.uri,
    redisUrl,
    descriptions: [
      plan.kubernetes?.source ?? `Kubernetes of ${kubeconfigPath}`,
      database.description,
      plan.redis.kind === 'Existing' ? 'Redis of REDIS_URL' : `Redis: ${plan.redis.description}`,
    ],
  }
}

export type AtelierOptions = Pick<Foundation, 'kubeconfigPath' | 'redisUrl'> & {
  /** With a database name. */
  readonly mongodbUri: string
  readonly folder: string
  readonly ports: Ports
  readonly signal: AbortSignal
  /** Default: two nodes of two GPUs. */
  readonly nodes?: { readonly count: number; readonly gpus: number }
  readonly clock: Clock
  /** Told of each mail that the api sends, with its code. */
  readonly printMail: (line: string) => void
  /** Packs that come with the inference image. Default: those of the project. */
  readonly modelsFolder?: string
  /** Only for tests. Default: Hugging Face itself, and no image that can be mounted. */
  readonly modelSources?: ModelSources
  /** False only for tests that send thousands of requests. Default: true. */
  readonly rateLimits?: boolean
}

export type Atelier = {
  readonly apiUrl: string
  readonly internalUrl: string
  /** Base addresses of /healthz, /readyz and /metrics. */
  readonly metricsUrls: Readonly<Record<'api' | 'controller' | 'nodeAgent', string>>
  readonly accounts: DemoAccounts
  /** The newest mail to an address, waiting for it; no mail is returned twice. */
  readonly mailTo: MailCatcher['mailTo']
  readonly api: Restartable
  readonly controller: Restartable
  readonly nodeAgent: Restartable
  /** Stops controller, node agent with its pods, api and mail catcher, in this order. */
  readonly stop: () => Promise<void>
}

/** Starts api, controller and node agent, each with its own identity, and the mail catcher. */
export async function startAtelier(
  supervisor: Supervisor,
  options: AtelierOptions,
): Promise<Atelier> {
  const stopping = new AbortController()
  const signal = AbortSignal.any([options.signal, stopping.signal])
  const client = openAdminClient(options.kubeconfigPath)
  const { folder, ports } = options
  const catcher = await startMailCatcher({
    port: ports.smtp,
    folder: join(folder, 'mails'),
    clock: options.clock,
    print: options.printMail,
  })
  const settings = await prepare(client, { ...options, smtpUrl: catcher.url, signal })
  const accounts = await makeDemoAccounts(settings.demoAccountsFile)
  const [api, controller, nodeAgent] = await Promise.all([
    startRestartable(supervisor, apiSpec(settings)),
    // It ends its process when it loses its lease, and counts on being started again.
    startRestartable(supervisor, controllerSpec(settings), { ...likeDeployment, print: printLine }),
    startRestartable(supervisor, nodeAgentSpec(settings)),
  ])
  return {
    apiUrl: urlOf(ports.api),
    internalUrl: urlOf(ports.apiInternal),
    metricsUrls: {
      api: urlOf(ports.apiMetrics),
      controller: urlOf(ports.controllerMetrics),
      nodeAgent: urlOf(ports.nodeAgentMetrics),
    },
    accounts,
    mailTo: catcher.mailTo,
    api,
    controller,
    nodeAgent,
    stop: async () => {
      stopping.abort()
      for (const part of [controller, nodeAgent, api, catcher]) await part.stop()
      await client.close()
    },
  }
}

export function openAdminClient(kubeconfigPath: string): KubeClient {
  return openKubeClient({ kubeconfigPath, userAgent: 'atelier-local' })
}

async function prepare(
  client: KubeClient,
  options: AtelierOptions & Pick<ProductSettings, 'smtpUrl'>,
): Promise<ProductSettings> {
  const { folder, ports, signal } = options
  const files = await keepServiceAccountFiles(client, {
    adminKubeconfig: options.kubeconfigPath,
    folder: join(folder, 'service-accounts'),
    signal,
  })
  const secretsFolder = join(folder, 'secrets')
  await makeSecrets(secretsFolder)
  await mkdir(join(folder, 'objects'), { recursive: true })
  await mkdir(join(folder, 'nodes'), { recursive: true })
  const settings: ProductSettings = {
    ...options,
    ...files,
    adminKubeconfig: options.kubeconfigPath,
    ports,
    secretsFolder,
    objectsFolder: join(folder, 'objects'),
    nodeFolder: join(folder, 'nodes'),
    demoAccountsFile: join(folder, 'demo-accounts.json'),
    imageMapFile: join(folder, 'image-map.json'),
    nodes: options.nodes ?? { count: 2, gpus: 2 },
    rateLimits: options.rateLimits ?? true,
    compileCacheFolder: join(cacheFolder(), 'compiled'),
  }
  const images = {
    compileCache: settings.compileCacheFolder,
    models: options.modelsFolder,
    mounted: options.modelSources?.imageFolders,
  }
  await writeFile(settings.imageMapFile, imageMapText(images))
  return settings
}

async function startCluster(
  supervisor: Supervisor,
  { plan, config, folder, ports, durable, clock, signal }: FoundationOptions,
): Promise<string> {
  const programs = plan.kubernetes
  const kubeconfigPath =
    programs === undefined
      ? (config.kubeconfigPath ?? '')
      : (
          await startKubernetes(supervisor, {
            programs,
            folder: join(folder, 'kubernetes'),
            ports,
            durable,
            clock,
          })
        ).kubeconfigPath
  const client = openAdminClient(kubeconfigPath)
  try {
    await applyPlatform(client, signal)
  } finally {
    await client.close()
  }
  return kubeconfigPath
}

async function redisUrlOf(
  supervisor: Supervisor,
  plan: RedisPlan,
  options: { readonly folder: string; readonly port: number },
): Promise<string> {
  if (plan.kind === 'Existing') return plan.url
  await startRedis(supervisor, {
    program: plan.program,
    folder: join(options.folder, 'redis'),
    port: options.port,
  })
  return `redis://127.0.0.1:${options.port}`
}

/** Only those which something will listen on. */
function usedPorts({ kubernetes, database, redis }: FoundationPlan): readonly PortName[] {
  return [
    ...(['api', 'apiInternal', 'apiMetrics', 'controllerMetrics', 'nodeAgentMetrics'] as const),
    'smtp',
    'controllerQueue',
    ...(kubernetes === undefined
      ? []
      : (['kubernetes', 'etcd', 'controllers', 'scheduler'] as const)),
    ...(database.kind === 'Existing' ? [] : (['mongodb'] as const)),
    ...(database.kind === 'DocumentDb' ? (['postgres'] as const) : []),
    ...(redis.kind === 'Existing' ? [] : (['redis'] as const)),
  ]
}
