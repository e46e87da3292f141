import { hostname } from 'node:os'
import { join } from 'node:path'
import { podPaths } from '../shared/domain/pod-contract.ts'
import { kubeletFolderOf } from './kubelet-files.ts'
import type { Ports } from './ports.ts'
import { projectFolder } from './project.ts'
import { answersOk } from './ready.ts'
import type { ServiceAccountFiles } from './service-accounts.ts'
import type { ProcessSpec } from './supervisor.ts'

/** The image of job pods in the embedded environment; the node agent runs our source for it. */
const inferenceImage = 'atelier.dev/inference:dev'

/**
 * Keeps an api process under 200 MB with 1,000 sockets (`npm run bench:realtime`). By itself V8's
 * young generation grows to 64 MiB under load and its old one to a multiple of what lives, and
 * glibc gives each thread an arena whose free parts it keeps.
 */
export const smallProcess = {
  nodeOptions: ['--max-semi-space-size=2', '--heap-growing-percent=20'],
  environment: { MALLOC_ARENA_MAX: '2' },
} as const

/** What tests put in place of servers and registries. */
export type ModelSources = {
  /** With http, on this machine. */
  readonly huggingFaceUrl: string
  /** Folders by the reference of an image that is mounted. */
  readonly imageFolders: Readonly<Record<string, string>>
}

/** What the three processes are told by their environment variables. */
export type ProductSettings = ServiceAccountFiles & {
  readonly ports: Ports
  readonly adminKubeconfig: string
  readonly mongodbUri: string
  readonly redisUrl: string
  readonly smtpUrl: string
  readonly secretsFolder: string
  readonly objectsFolder: string
  readonly nodeFolder: string
  readonly demoAccountsFile: string
  readonly imageMapFile: string
  readonly nodes: { readonly count: number; readonly gpus: number }
  readonly rateLimits: boolean
  readonly modelSources?: ModelSources | undefined
  /** Node keeps compiled code here, which makes later starts and job pods faster. */
  readonly compileCacheFolder: string
}

export function apiSpec(settings: ProductSettings): ProcessSpec {
  const { ports } = settings
  return processSpec('api', settings, {
    nodeOptions: smallProcess.nodeOptions,
    metricsPort: ports.apiMetrics,
    environment: {
      ...smallProcess.environment,
      ATELIER_LISTEN: addressOf(ports.api),
      ATELIER_INTERNAL_LISTEN: addressOf(ports.apiInternal),
      ATELIER_PUBLIC_URL: urlOf(ports.api),
      ATELIER_INTERNAL_URL: urlOf(ports.apiInternal),
      MONGODB_URI: settings.mongodbUri,
      REDIS_URL: settings.redisUrl,
      ATELIER_SMTP_URL: settings.smtpUrl,
      ATELIER_MAIL_FROM: 'Atelier <atelier@localhost>',
      KUBECONFIG: settings.apiKubeconfig,
      ATELIER_CONTROLLER_TOKEN_FILE: settings.apiControllerToken,
      ATELIER_OBJECTS_FOLDER: settings.objectsFolder,
      ATELIER_SECRETS_FOLDER: settings.secretsFolder,
      ATELIER_DEMO_ACCOUNTS_FILE: settings.demoAccountsFile,
      ATELIER_RATE_LIMITS: String(settings.rateLimits),
    },
  })
}

export function controllerSpec(settings: ProductSettings): ProcessSpec {
  const { ports, modelSources } = settings
  return processSpec('controller', settings, {
    metricsPort: ports.controllerMetrics,
    environment: {
      KUBECONFIG: settings.controllerKubeconfig,
      ATELIER_API_INTERNAL_URL: urlOf(ports.apiInternal),
      ATELIER_INTERNAL_TOKEN_FILE: settings.controllerInternalToken,
      ATELIER_CONTROLLER_LISTEN: addressOf(ports.controllerQueue),
      ATELIER_INFERENCE_IMAGE: inferenceImage,
      ATELIER_POD_API_URL: urlOf(ports.apiInternal),
      // Only one process at a time can listen there, so whoever had this name before has ended.
      ATELIER_POD_NAME: `${hostname()}-${ports.controllerMetrics}`,
      // Nobody else waits for it, and a busy machine must not end the environment.
      ATELIER_LEASE_SECONDS: '30',
      // The simulated GPUs are counted by the scheduler like real ones.
      ATELIER_ALLOW_CPU: 'false',
      ...(modelSources && {
        ATELIER_MODEL_HUGGING_FACE_URL: modelSources.huggingFaceUrl,
        ATELIER_MODEL_ALLOW_HTTP: 'true',
      }),
    },
  })
}

export function nodeAgentSpec(settings: ProductSettings): ProcessSpec {
  const { ports, nodes } = settings
  return processSpec('local/node-agent', settings, {
    metricsPort: ports.nodeAgentMetrics,
    environment: {
      KUBECONFIG: settings.adminKubeconfig,
      ATELIER_NODE_COUNT: String(nodes.count),
      ATELIER_NODE_GPUS: String(nodes.gpus),
      ATELIER_NODE_FOLDER: settings.nodeFolder,
      ATELIER_NODE_KUBELET_FOLDER: kubeletFolderOf(settings.adminKubeconfig) ?? '',
      ATELIER_IMAGE_MAP: settings.imageMapFile,
    },
  })
}

/** Which program stands for which image, see node-agent/image-map.ts. */
export function imageMapText(folders: {
  readonly compileCache: string
  /** Stands for the folder of embedded models; absent: the project's own. */
  readonly models?: string | undefined
  readonly mounted?: ModelSources['imageFolders'] | undefined
}): string {
  const mounted = Object.entries(folders.mounted ?? {}).map(([image, folder]) => {
    return [image, { folder }]
  })
  const images = {
    ...Object.fromEntries(mounted),
    paths: { [podPaths.embeddedModels]: folders.models ?? join(projectFolder, 'models') },
    [inferenceImage]: {
      command: [process.execPath, join(projectFolder, 'src/inference/main.ts')],
      workingFolder: projectFolder,
      environment: { NODE_COMPILE_CACHE: folders.compileCache },
    },
  }
  return JSON.stringify(images, null, 2)
}

export function urlOf(port: number): string {
  return `http://${addressOf(port)}`
}

function addressOf(port: number): string {
  return `127.0.0.1:${port}`
}

function processSpec(
  folder: string,
  settings: ProductSettings,
  own: {
    readonly nodeOptions?: readonly string[]
    readonly metricsPort: number
    readonly environment: Readonly<Record<string, string>>
  },
): ProcessSpec {
  return {
    name: folder.replace('local/', ''),
    command: process.execPath,
    args: [...(own.nodeOptions ?? []), join(projectFolder, 'src', folder, 'main.ts')],
    cwd: projectFolder,
    environment: {
      // Our own variables reach the children; only the api may open the database and Redis.
      MONGODB_URI: '',
      REDIS_URL: '',
      NODE_COMPILE_CACHE: settings.compileCacheFolder,
      ATELIER_METRICS_LISTEN: addressOf(own.metricsPort),
      ...own.environment,
    },
    ready: (signal) => answersOk(`${urlOf(own.metricsPort)}/readyz`, { signal }),
    stopGraceMs: 20_000,
  }
}
