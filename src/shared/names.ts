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

export const labels = {
  department: 'atelier.dev/department',
  installation: 'atelier.dev/installation',
  jobUid: 'atelier.dev/job-uid',
  attempt: 'atelier.dev/attempt',
  simulatedGpu: 'atelier.dev/simulated-gpu',
} as const

export const annotations = {
  jobId: 'atelier.dev/job-id',
} as const

export const taints = {
  gpu: 'nvidia.com/gpu',
  processNode: 'atelier.dev/process-node',
} as const

export const gpuResource = 'nvidia.com/gpu'
