/** What the controller promises to a job pod, and what the pod's end means. */

/** Exit codes of the inference process. Everything else is a failure that may be retried. */
export const exitCodes = {
  completed: 0,
  failed: 1,
  cancelled: 10,
  /** The request can never succeed: no retry. */
  invalidInput: 20,
} as const

/** Environment variables of a job pod. */
export const podEnvironment = {
  jobId: 'ATELIER_JOB_ID',
  attempt: 'ATELIER_ATTEMPT',
  apiUrl: 'ATELIER_API_URL',
  tokenFile: 'ATELIER_TOKEN_FILE',
  modelFolder: 'ATELIER_MODEL_FOLDER',
  /** Holds the ConfigMap inputs of the job, each as a file named by its index. */
  inputsFolder: 'ATELIER_INPUTS_FOLDER',
  graceSeconds: 'ATELIER_GRACE_SECONDS',
  podIp: 'POD_IP',
  /** Sequence of the first progress, above all that an init container has posted; absent: 1. */
  firstSequence: 'ATELIER_FIRST_SEQUENCE',
  /** Where the termination message goes; set where the container has no /dev of its own. */
  terminationLog: 'ATELIER_TERMINATION_LOG',
} as const

/**
 * Environment variables of a pool pod. It also has `apiUrl`, `tokenFile`, `podIp` and
 * `graceSeconds` of `podEnvironment`: the last one is the `drainSeconds` of its pool.
 */
export const poolEnvironment = {
  /** Name of the ModelPool; whoever has it is a pool pod. */
  pool: 'ATELIER_POOL',
  /** Address and port of the jobs' HTTP server. */
  listen: 'ATELIER_POOL_LISTEN',
  /** File with the 32 raw bytes that sign requests. */
  keyFile: 'ATELIER_POOL_KEY_FILE',
  /** Names of the base models, separated by commas, in the order of preloading. */
  models: 'ATELIER_POOL_MODELS',
  /** Names of the LoRAs, separated by commas; empty without any. */
  loras: 'ATELIER_POOL_LORAS',
  /** Jobs at a time. */
  slots: 'ATELIER_POOL_SLOTS',
  podUid: 'POD_UID',
} as const

/** Variable with the folder of one base model, by its index in `poolEnvironment.models`. */
export function poolModelFolderVariable(index: number): string {
  return `ATELIER_POOL_MODEL_FOLDER_${index}`
}

/**
 * Variable with the folder of one LoRA pack, by its index in `parameters.loras`; in a pool pod by
 * its index in `poolEnvironment.loras`.
 */
export function loraFolderVariable(index: number): string {
  return `ATELIER_LORA_FOLDER_${index}`
}

/**
 * Environment variables of the init container that fetches packs. For a job it also has `jobId`,
 * `attempt`, `apiUrl` and `tokenFile` of `podEnvironment`, to tell how far it is.
 */
export const fetchEnvironment = {
  /** How many packs there are; whoever has it fetches, and does nothing else. */
  packs: 'ATELIER_FETCH_PACKS',
  /** Names this pod in the locks and leases of a cache. */
  holder: 'ATELIER_FETCH_HOLDER',
  s3Region: 'ATELIER_FETCH_S3_REGION',
  /** `true` permits http:// to the machine's own addresses, for tests. */
  allowHttp: 'ATELIER_FETCH_ALLOW_HTTP',
} as const

/** Variables of one pack to fetch, by its index. */
export function fetchVariables(index: number) {
  return {
    /** Folder that holds the manifest, with http or https. */
    url: `ATELIER_FETCH_URL_${index}`,
    digest: `ATELIER_FETCH_DIGEST_${index}`,
    /** The pack comes into the folder of this one that is named by its digest. */
    cache: `ATELIER_FETCH_CACHE_${index}`,
    /** Bytes that all packs of the cache may take together; absent: what its disk has. */
    limitBytes: `ATELIER_FETCH_LIMIT_BYTES_${index}`,
    /** Folder with the keys of a Secret as files; absent: no credentials. */
    credentials: `ATELIER_FETCH_CREDENTIALS_${index}`,
  } as const
}

/** Keys of the Secret that `delivery.fetch.secretRef` names. */
export const fetchSecretKeys = {
  /** Sent as a bearer token, as Hugging Face wants it. */
  token: 'token',
  /** Of S3, with `secretAccessKey` and perhaps `sessionToken`. */
  accessKeyId: 'accessKeyId',
  secretAccessKey: 'secretAccessKey',
  sessionToken: 'sessionToken',
} as const

/** Variable with a file that the pod writes again and again while it uses a pack of a cache. */
export function packLeaseVariable(index: number): string {
  return `ATELIER_PACK_LEASE_${index}`
}

/** Name of the pod in its leases, for `packLeaseVariable`. */
export const packHolderVariable = 'ATELIER_PACK_HOLDER'

/** Folder of a cache that holds the leases: `<digest>/<holder>`. */
export const packLeasesFolder = '.leases'

/** Paths inside the inference image. */
export const podPaths = {
  tokenFolder: '/var/run/secrets/atelier.dev',
  tokenFile: '/var/run/secrets/atelier.dev/token',
  embeddedModels: '/models',
  /** Of a pack on a claim or in an image of its own; followed by the name of its volume. */
  claims: '/claims/',
  /** Packs fetched for this pod alone. */
  packs: '/packs',
  /** Packs fetched onto a claim; followed by the index of the claim. */
  caches: '/caches/',
  leases: '/leases/',
  /** Followed by the index of the Secret. */
  fetchCredentials: '/var/run/secrets/atelier.dev-fetch/',
  poolKeyFolder: '/var/run/secrets/atelier.dev-pool',
  poolKeyFile: '/var/run/secrets/atelier.dev-pool/key',
  inputs: '/inputs',
  scratch: '/scratch',
  terminationLog: '/dev/termination-log',
} as const

export const jobContainerName = 'inference'
/** Init container that fetches packs. */
export const fetchContainerName = 'fetch'
/** Volumes with the credentials of `fetchContainerName` begin so; no other container mounts them. */
export const fetchCredentialsVolume = 'fetch-credentials-'

/** The termination message: a reason and the SHA-256 of the report's JSON, ≤ 4,096 bytes. */
export type TerminationMessage = { readonly reason: string; readonly digest: string }
