import { z } from 'zod'
import {
  baseUrl,
  filePath,
  flag,
  listenAddress,
  logLevel,
  podListenAddress,
  wholeNumber,
} from './fields.ts'
import { type Environment, readConfig } from './read-config.ts'

const NAME = '[A-Za-z0-9]([-A-Za-z0-9_./]{0,251}[A-Za-z0-9])?'
const LABELS = new RegExp(`^${NAME}=${NAME}(,${NAME}=${NAME})*$`)

/** Labels in the form `name=value,name=value`. */
const labelPairs = z
  .string()
  .max(2048)
  .regex(LABELS, { error: 'must be labels, such as name=value,name=value' })
  .transform((text): Readonly<Record<string, string>> => {
    const pairs = text.split(',').map((pair) => pair.split('='))
    return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]))
  })

/** Others are told the address: one that means every interface is none. */
const reachableAddress = podListenAddress.refine(({ host }) => !['0.0.0.0', '::'].includes(host), {
  error: 'must be an address of this machine that others reach, not all of them',
})

const GIBIBYTE = 2 ** 30
const packBytes = wholeNumber({ min: GIBIBYTE, max: 2 ** 49 })

/** Variables of the controller process. */
const controllerConfigSchema = z
  .object({
    KUBECONFIG: filePath.optional(),
    ATELIER_API_INTERNAL_URL: baseUrl,
    ATELIER_INTERNAL_TOKEN_FILE: filePath,
    ATELIER_METRICS_LISTEN: listenAddress.prefault('127.0.0.1:8083'),
    ATELIER_CONTROLLER_LISTEN: reachableAddress.optional(),
    ATELIER_INFERENCE_IMAGE: z.string().min(1).max(512),
    ATELIER_POD_API_URL: baseUrl,
    ATELIER_ALLOW_CPU: flag.prefault('false'),
    ATELIER_WATCH_NAMESPACE: z.string().min(1).max(63).optional(),
    ATELIER_NODE_SELECTOR: labelPairs.optional(),
    ATELIER_MODEL_HUGGING_FACE_URL: baseUrl.prefault('https://huggingface.co'),
    ATELIER_MODEL_S3_URL: baseUrl.optional(),
    ATELIER_MODEL_S3_REGION: z
      .string()
      .regex(/^[a-z0-9-]{1,32}$/, { error: 'must be a region, such as us-east-1' })
      .default('us-east-1'),
    ATELIER_MODEL_CACHE_BYTES: packBytes.optional(),
    ATELIER_MODEL_SCRATCH_BYTES: packBytes.prefault(String(64 * GIBIBYTE)),
    ATELIER_MODEL_ALLOW_HTTP: flag.prefault('false'),
    ATELIER_KUEUE_LOCAL_QUEUE: z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, { error: 'must be the name of a LocalQueue' })
      .optional(),
    ATELIER_RETRY_BASE_SECONDS: wholeNumber({ min: 1, max: 360 }).prefault('10'),
    ATELIER_LEADER_ELECTION: flag.prefault('true'),
    ATELIER_LEASE_SECONDS: wholeNumber({ min: 3, max: 300 }).prefault('15'),
    ATELIER_POD_NAME: z.string().min(1).max(253).optional(),
    ATELIER_LOG_LEVEL: logLevel.default('info'),
  })
  .transform((environment) => ({
    /** Without it the pod's own service account is used. */
    kubeconfigPath: environment.KUBECONFIG,
    apiInternalUrl: environment.ATELIER_API_INTERNAL_URL,
    /** Token of audience `internalAudience`; replaced on disk, so it is read at each use. */
    internalTokenFile: environment.ATELIER_INTERNAL_TOKEN_FILE,
    metricsListen: environment.ATELIER_METRICS_LISTEN,
    /** Where the api asks about the queue; it is written to the Lease. Absent: nowhere. */
    queueListen: environment.ATELIER_CONTROLLER_LISTEN,
    inferenceImage: environment.ATELIER_INFERENCE_IMAGE,
    /** Base address of the internal port as pods see it. */
    podApiUrl: environment.ATELIER_POD_API_URL,
    /** Models that run on a CPU may run without a GPU. */
    allowCpu: environment.ATELIER_ALLOW_CPU,
    /** Only jobs of this namespace are looked after; absent means all namespaces. */
    watchNamespace: environment.ATELIER_WATCH_NAMESPACE,
    /** Labels of the Nodes that job pods may use; empty means all Nodes. */
    nodeSelector: environment.ATELIER_NODE_SELECTOR ?? {},
    packs: {
      huggingFaceUrl: environment.ATELIER_MODEL_HUGGING_FACE_URL,
      s3Url: environment.ATELIER_MODEL_S3_URL,
      s3Region: environment.ATELIER_MODEL_S3_REGION,
      cacheBytes: environment.ATELIER_MODEL_CACHE_BYTES,
      scratchBytes: environment.ATELIER_MODEL_SCRATCH_BYTES,
      allowHttp: environment.ATELIER_MODEL_ALLOW_HTTP,
    },
    /** Where Kueue is installed: the LocalQueue, in their namespace, of jobs that name none. */
    kueueLocalQueue: environment.ATELIER_KUEUE_LOCAL_QUEUE,
    /** Pause before the first retry of a failed attempt. */
    retryBaseMs: environment.ATELIER_RETRY_BASE_SECONDS * 1000,
    /** False: this is the only controller of the cluster, and nobody asks. */
    leaderElection: environment.ATELIER_LEADER_ELECTION,
    /** After this long without a sign of the leader another process takes its place. */
    leaseSeconds: environment.ATELIER_LEASE_SECONDS,
    /**
     * No two processes that run at the same time have the same. It lets a restarted container
     * take over at once from the one before it.
     */
    podName: environment.ATELIER_POD_NAME,
    logLevel: environment.ATELIER_LOG_LEVEL,
  }))
export type ControllerConfig = z.output<typeof controllerConfigSchema>

export function readControllerConfig(environment?: Environment): ControllerConfig {
  return readConfig(controllerConfigSchema, environment)
}
