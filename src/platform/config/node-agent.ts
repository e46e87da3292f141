import { z } from 'zod'
import { filePath, flag, listenAddress, logLevel, wholeNumber } from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

/** Variables of the process node agent, the development tool that plays the nodes. */
const nodeAgentConfigSchema = z
  .object({
    KUBECONFIG: filePath,
    ATELIER_NODE_COUNT: wholeNumber({ min: 1, max: 1000 }).prefault('2'),
    ATELIER_NODE_GPUS: wholeNumber({ min: 0, max: 64 }).prefault('2'),
    ATELIER_NODE_FOLDER: filePath,
    ATELIER_NODE_PREFIX: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]{0,48}[a-z0-9])?$/, { error: 'must be a short DNS label' })
      .default('atelier-node'),
    ATELIER_NODE_ALLOW_FOREIGN: flag.prefault('false'),
    ATELIER_NODE_KUBELET_FOLDER: filePath.optional(),
    ATELIER_IMAGE_MAP: filePath,
    ATELIER_METRICS_LISTEN: listenAddress.prefault('127.0.0.1:8084'),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment) => ({
    kubeconfigPath: environment.KUBECONFIG,
    nodeCount: environment.ATELIER_NODE_COUNT,
    gpusPerNode: environment.ATELIER_NODE_GPUS,
    /** Where volumes, logs and the state of pods lie. */
    nodeFolder: environment.ATELIER_NODE_FOLDER,
    /** Certificate, key and authority of the kubelet's port; without it no logs are served. */
    kubeletFolder: environment.ATELIER_NODE_KUBELET_FOLDER,
    /** Nodes are called `<prefix>-1`, `<prefix>-2` … */
    nodePrefix: environment.ATELIER_NODE_PREFIX,
    /** Only for people who share a cluster with others. */
    allowForeignNodes: environment.ATELIER_NODE_ALLOW_FOREIGN,
    /** JSON file: which program an image name stands for. */
    imageMapFile: environment.ATELIER_IMAGE_MAP,
    metricsListen: environment.ATELIER_METRICS_LISTEN,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))
export type NodeAgentConfig = z.output<typeof nodeAgentConfigSchema>

export function readNodeAgentConfig(environment?: Environment): NodeAgentConfig {
  return readConfig(nodeAgentConfigSchema, environment)
}
