/** Names that several processes, the manifests and the documentation must agree on. */

export const apiGroup = 'atelier.dev'
export const apiVersion = 'v1alpha1'
export const apiGroupVersion = `${apiGroup}/${apiVersion}`

export const systemNamespace = 'atelier-system'
/** Where the api creates jobs of web clients. It carries no department label, so kubectl cannot. */
export const jobsNamespace = 'atelier-jobs'

export const serviceAccounts = {
  api: 'atelier-api',
  controller: 'atelier-controller',
  job: 'atelier-job',
} as const

/** Audience of the projected tokens with which the controller and pods call the internal port. */
export const internalAudience = 'internal.atelier.dev'

/** Audience of the projected token with which the api asks the controller that leads. */
export const controllerAudience = 'controller.atelier.dev'

/** The Lease, in the system namespace, that says which controller leads. */
export const controllerLease = 'atelier-controller'

export const labels = {
  department: 'atelier.dev/department',
  installation: 'atelier.dev/installation',
  jobUid: 'atelier.dev/job-uid',
  attempt: 'atelier.dev/attempt',
  simulatedGpu: 'atelier.dev/simulated-gpu',
  /** ModelPool of a Deployment and its pods. */
  pool: 'atelier.dev/pool',
} as const

export const annotations = {
  jobId: 'atelier.dev/job-id',
  /** `true` on a ModelPool: its pods finish what they have, and no other ones are made. */
  stop: 'atelier.dev/stop',
  /** Digest of what the controller wants of a Deployment, to notice when that changes. */
  shape: 'atelier.dev/shape',
  /** Of pods of pools: the Models that they were made with. */
  packs: 'atelier.dev/packs',
  /** Of Kubernetes: when a ReplicaSet shrinks, pods with the smallest number go first. */
  podDeletionCost: 'controller.kubernetes.io/pod-deletion-cost',
  /** Of the controllers' Lease: where the leader's HTTP is found. */
  leaderAddress: 'atelier.dev/address',
} as const

/** Type of the Secrets with the keys by which the controller and pool pods know each other. */
export const poolKeySecretType = 'atelier.dev/pool-key'

export const taints = {
  gpu: 'nvidia.com/gpu',
  processNode: 'atelier.dev/process-node',
} as const

export const gpuResource = 'nvidia.com/gpu'
