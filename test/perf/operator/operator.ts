import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { projectFolder } from '../../../src/local/project.ts'
import { answersOk } from '../../../src/local/ready.ts'
import { keepServiceAccountFiles } from '../../../src/local/service-accounts.ts'
import type { LocalProcess, ProcessSpec } from '../../../src/local/supervisor.ts'
import {
  type FakeInternalApi,
  startFakeInternalApi,
} from '../../integration/controller/fake-internal-api.ts'
import type { BenchCluster } from './cluster.ts'

/** What stands for the inference image: nothing is run. */
const image = 'atelier.dev/inference:simulated'

export type OperatorOptions = {
  /** Simulated Nodes, all kept by one process. */
  readonly nodes: { readonly count: number; readonly gpus: number }
  /** Seconds that a job of each Model takes. */
  readonly seconds: Readonly<Record<string, number>>
}

/**
 * The controller and the node agent as processes of their own, each with its own identity. The api
 * is a fake one in this process: every hold is granted, and every attempt is said to have been
 * completed without outputs, since simulated pods make none and report nothing.
 */
export type BenchOperator = {
  readonly controller: LocalProcess
  readonly residentMebibytes: () => number
  /** Requests of the controller to the API server that write, Leases left out, since its start. */
  readonly controllerWrites: () => Promise<number>
}

export async function startOperator(
  cluster: BenchCluster,
  options: OperatorOptions,
): Promise<BenchOperator> {
  const { supervisor, ports } = cluster
  const api = await startFakeInternalApi({
    reason: 'Completed',
    message: 'as simulated',
    outputs: [],
    stepsDone: 0,
  })
  cluster.signal.addEventListener('abort', () => void api.close().catch(() => undefined))
  const [controller] = await Promise.all([
    controllerSpec(cluster, api).then((spec) => supervisor.start(spec)),
    nodeAgentSpec(cluster, options).then((spec) => supervisor.start(spec)),
  ])
  return {
    controller,
    residentMebibytes: () => residentMebibytes(controller.pid),
    controllerWrites: async () => {
      const metrics = await fetch(`${urlOf(ports.controllerMetrics)}/metrics`)
      return sumOfWrites(await metrics.text())
    },
  }
}

async function controllerSpec(cluster: BenchCluster, api: FakeInternalApi): Promise<ProcessSpec> {
  const { admin, folder, ports, signal, kubeconfigPath } = cluster
  const files = await keepServiceAccountFiles(admin, {
    adminKubeconfig: kubeconfigPath,
    folder: join(folder, 'service-accounts'),
    signal,
  })
  const tokenFile = join(folder, 'fake-api.token')
  await writeFile(tokenFile, api.token)
  return programOf('controller', ports.controllerMetrics, {
    KUBECONFIG: files.controllerKubeconfig,
    ATELIER_API_INTERNAL_URL: api.url,
    ATELIER_INTERNAL_TOKEN_FILE: tokenFile,
    ATELIER_INFERENCE_IMAGE: image,
    ATELIER_POD_API_URL: api.url,
    ATELIER_POD_NAME: 'bench',
  })
}

async function nodeAgentSpec(
  { folder, ports, kubeconfigPath }: BenchCluster,
  { nodes, seconds }: OperatorOptions,
): Promise<ProcessSpec> {
  const imageMapFile = join(folder, 'image-map.json')
  await writeFile(
    imageMapFile,
    JSON.stringify({ [image]: { simulate: { seconds: 0, models: seconds } } }),
  )
  const nodeFolder = join(folder, 'nodes')
  await mkdir(nodeFolder)
  return programOf('local/node-agent', ports.nodeAgentMetrics, {
    KUBECONFIG: kubeconfigPath,
    ATELIER_NODE_COUNT: String(nodes.count),
    ATELIER_NODE_GPUS: String(nodes.gpus),
    ATELIER_NODE_FOLDER: nodeFolder,
    ATELIER_IMAGE_MAP: imageMapFile,
  })
}

function programOf(
  source: string,
  metricsPort: number,
  environment: Readonly<Record<string, string>>,
): ProcessSpec {
  return {
    name: source.replace('local/', ''),
    command: process.execPath,
    args: [join(projectFolder, 'src', source, 'main.ts')],
    cwd: projectFolder,
    environment: {
      // Our own variables reach the children.
      MONGODB_URI: '',
      REDIS_URL: '',
      ATELIER_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
      ...environment,
    },
    ready: (signal) => answersOk(`${urlOf(metricsPort)}/readyz`, { signal }),
    readyTimeoutMs: 180_000,
  }
}

function urlOf(port: number): string {
  return `http://127.0.0.1:${port}`
}

export function residentMebibytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) / 1024
}

/** Of the text of the controller's metrics. */
export function sumOfWrites(metrics: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith('atelier_kube_writes_total{'))
  return lines
    .filter((line) => !line.includes('resource="leases"'))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
