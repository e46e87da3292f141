import type { Job } from '../../platform/kube/resources.ts'
import type { Draft } from '../../platform/kube/types.ts'
import { assert } from '../../shared/assert.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import {
  jobContainerName,
  loraFolderVariable,
  podEnvironment,
  podPaths,
} from '../../shared/domain/pod-contract.ts'
import { apiGroupVersion, gpuResource, labels } from '../../shared/names.ts'
import { kueueLabels } from '../kueue/names.ts'
import type { QuotaQueue } from '../kueue/quota-queue.ts'
import { FIRST_SEQUENCE, GRACE_SECONDS } from '../limits.ts'
import {
  type Container,
  leastPrivilege,
  type PackParts,
  packParts,
  type Variable,
  type Volume,
} from '../packs.ts'
import { baseMounts, baseVolumes, podBase, tokenMount } from '../pod-base.ts'
import type { ControllerSettings } from '../settings.ts'
import { type ModelSet, requestOf } from './eligibility.ts'
import { attemptJobName, jobIdOf } from './names.ts'
import { preferNode } from './planned-node.ts'

export type AttemptPlan = {
  readonly job: GenerationJob
  readonly model: Model
  /** In the order of `spec.parameters.loras`. */
  readonly loras: readonly Model[]
  readonly number: number
  readonly gpus: number
  /** Where there is room for it. */
  readonly nodeName?: string | undefined
  /** Made suspended: from then on only Kueue says when it runs. */
  readonly queue?: QuotaQueue | undefined
  readonly settings: ControllerSettings
}

type JobSpec = NonNullable<Job['spec']>
type PodTemplate = JobSpec['template']
type PodSpec = NonNullable<PodTemplate['spec']>

/**
 * One attempt as a batch/v1 Job: one pod, no retry of its own, no deadline, no TTL, because all
 * of these are decided here. Nothing replaces a pod before it has failed for good.
 */
export function attemptJob(plan: AttemptPlan): Draft<Job> {
  const { job, number } = plan
  const { namespace } = job.metadata
  assert(namespace !== undefined, 'a GenerationJob is namespaced')
  return {
    metadata: {
      name: attemptJobName(job.metadata.uid, number),
      namespace,
      labels: { ...attemptLabels(plan), ...queueLabels(plan) },
      ownerReferences: [ownerReference(job)],
    },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
      ...(plan.queue === undefined ? {} : { suspend: true }),
      template: { metadata: { labels: attemptLabels(plan) }, spec: podSpec(plan) },
    },
  }
}

function attemptLabels({ job, number }: AttemptPlan): Record<string, string> {
  return {
    [labels.jobUid]: job.metadata.uid,
    [labels.attempt]: String(number),
    [labels.department]: job.spec.owner.department,
  }
}

function queueLabels({ queue }: AttemptPlan): Record<string, string> {
  if (queue === undefined) return {}
  const { localQueue, priorityClass } = queue
  return {
    [kueueLabels.queue]: localQueue,
    ...(priorityClass === undefined ? {} : { [kueueLabels.priorityClass]: priorityClass }),
  }
}

/** Without blockOwnerDeletion, which would need rights on the owner's finalizers. */
function ownerReference(job: GenerationJob) {
  const { name, uid } = job.metadata
  return { apiVersion: apiGroupVersion, kind: 'GenerationJob', name, uid, controller: true }
}

function podSpec(plan: AttemptPlan): PodSpec {
  const packs = packsOf(plan)
  const { initContainers } = packs
  return {
    ...podBase(plan.settings),
    ...(plan.nodeName === undefined ? {} : { affinity: preferNode(plan.nodeName) }),
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: GRACE_SECONDS,
    ...(initContainers.length === 0 ? {} : { initContainers: [...initContainers] }),
    containers: [inferenceContainer(plan, packs)],
    volumes: [...baseVolumes, ...packs.volumes, ...inputVolumes(plan.job)],
  }
}

function packsOf(plan: AttemptPlan): PackParts {
  const { model, loras, settings } = plan
  const packs = [
    { name: 'model', spec: model.spec },
    ...loras.map(({ spec }, index) => ({ name: `lora-${index}`, spec })),
  ]
  const reporting = { variables: attemptVariables(plan), mounts: [tokenMount] }
  return packParts(packs, { settings, amounts: amountsOf(plan), reporting })
}

function inferenceContainer(plan: AttemptPlan, packs: PackParts): Container {
  return {
    name: jobContainerName,
    image: plan.settings.inferenceImage,
    env: environment(plan, packs),
    resources: containerResources(plan),
    securityContext: leastPrivilege,
    volumeMounts: [
      ...baseMounts,
      ...packs.mounts,
      ...inputVolumes(plan.job).map(({ name }) => {
        return { name, mountPath: podPaths.inputs, readOnly: true }
      }),
    ],
  }
}

/** By which a container of the pod tells the api for which attempt it speaks. */
function attemptVariables({ job, number, settings }: AttemptPlan): Variable[] {
  return [
    { name: podEnvironment.jobId, value: jobIdOf(job) },
    { name: podEnvironment.attempt, value: String(number) },
    { name: podEnvironment.apiUrl, value: settings.podApiUrl },
    { name: podEnvironment.tokenFile, value: podPaths.tokenFile },
  ]
}

function environment(plan: AttemptPlan, packs: PackParts): Variable[] {
  const [modelFolder, ...loraFolders] = packs.folders
  return [
    ...attemptVariables(plan),
    { name: podEnvironment.modelFolder, value: modelFolder },
    ...loraFolders.map((value, index) => ({ name: loraFolderVariable(index), value })),
    { name: podEnvironment.inputsFolder, value: podPaths.inputs },
    { name: podEnvironment.graceSeconds, value: String(GRACE_SECONDS) },
    { name: podEnvironment.podIp, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    ...packs.variables,
    ...(packs.initContainers.length === 0
      ? []
      : [{ name: podEnvironment.firstSequence, value: String(FIRST_SEQUENCE) }]),
  ]
}

/** Requests equal limits: a guaranteed pod is the last to be evicted. */
function containerResources(plan: AttemptPlan): Container['resources'] {
  const { gpus } = plan
  const amounts = { ...amountsOf(plan), ...(gpus === 0 ? {} : { [gpuResource]: String(gpus) }) }
  return { requests: amounts, limits: amounts }
}

/** Without LoRAs in the words of the Model; their shares are added in millis and bytes. */
function amountsOf({ model, loras }: ModelSet) {
  const { cpu, memory } = model.spec.resources
  if (loras.length === 0) return { cpu, memory }
  const sum = requestOf({ model, loras }, { allowCpu: false, clusterGpus: 0 })
  return { cpu: `${sum.cpuMillis}m`, memory: String(sum.memoryBytes) }
}

/**
 * The ConfigMap inputs as one folder of files, each named by its index. One that does not exist is
 * an absent file, which the pod reports; otherwise the pod would wait for it for ever.
 */
function inputVolumes({ spec }: GenerationJob): Volume[] {
  const sources = (spec.inputs ?? []).flatMap(({ configMapRef }, index) => {
    if (configMapRef === undefined) return []
    const { name, key } = configMapRef
    return [{ configMap: { name, optional: true, items: [{ key, path: String(index) }] } }]
  })
  return sources.length === 0 ? [] : [{ name: 'inputs', projected: { sources } }]
}
