import type { Job, Node, Pod } from '../../../src/platform/kube/resources.ts'
import { at, uid } from './builders.ts'

export type OwnerOptions = { readonly number?: number; readonly owner?: string }

const limits = { 'nvidia.com/gpu': '1', cpu: '2', memory: '4Gi' }
const containers = [{ name: 'inference', resources: { limits } }]

function metadata(name: string, owner: { kind: string; name: string; uid: string }) {
  return {
    name,
    namespace: 'vision',
    uid: `uid-of-${name}`,
    resourceVersion: '5',
    creationTimestamp: at(0),
    ownerReferences: [{ apiVersion: 'v1', controller: true, ...owner }],
  }
}

/** A batch/v1 Job as the API server returns it. */
export function aKubeJob(options: OwnerOptions & Partial<Pick<Job, 'status'>> = {}): Job {
  const { number = 1, owner = uid, status } = options
  const kubeJob: Job = {
    metadata: metadata(`gj-${uid}-a${number}`, { kind: 'GenerationJob', name: 'job', uid: owner }),
    spec: { template: { spec: { containers } } },
  }
  return status === undefined ? kubeJob : { ...kubeJob, status }
}

/** A pod of that Job. */
export function aKubePod(options: OwnerOptions & Partial<Pick<Pod, 'status'>> = {}): Pod {
  const { number = 1, owner, status = { phase: 'Pending' } } = options
  const job = `gj-${uid}-a${number}`
  return {
    metadata: metadata(`${job}-abcde`, { kind: 'Job', name: job, uid: owner ?? `uid-of-${job}` }),
    spec: { nodeName: 'node-1', containers },
    status,
  }
}

export type NodeOptions = {
  readonly name?: string
  readonly gpus?: number
  readonly ready?: string
  readonly unschedulable?: boolean
  readonly taints?: readonly { readonly key: string; readonly effect: string }[]
}

export function aKubeNode(options: NodeOptions = {}): Node {
  const { name = 'node-1', gpus = 1, ready = 'True', unschedulable = false, taints = [] } = options
  return {
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: at(0) },
    spec: { unschedulable, taints },
    status: {
      allocatable: { 'nvidia.com/gpu': String(gpus), cpu: '8', memory: '16Gi' },
      conditions: [{ type: 'Ready', status: ready }],
    },
  }
}
