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
  /** Where the termination message goes; set where the container has no /dev of its own. */
  terminationLog: 'ATELIER_TERMINATION_LOG',
} as const

/** Variable with the folder of one LoRA pack, by its index in `parameters.loras`. */
export function loraFolderVariable(index: number): string {
  return `ATELIER_LORA_FOLDER_${index}`
}

/** Paths inside the inference image. */
export const podPaths = {
  tokenFolder: '/var/run/secrets/atelier.dev',
  tokenFile: '/var/run/secrets/atelier.dev/token',
  embeddedModels: '/models',
  claimedModels: '/claims/model',
  /** Followed by the index of the LoRA. */
  claimedLora: '/claims/lora-',
  inputs: '/inputs',
  scratch: '/scratch',
  terminationLog: '/dev/termination-log',
} as const

export const jobContainerName = 'inference'

/** The termination message: a reason and the SHA-256 of the report's JSON, ≤ 4,096 bytes. */
export type TerminationMessage = { readonly reason: string; readonly digest: string }
