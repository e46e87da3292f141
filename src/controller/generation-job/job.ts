import type { Job } from '../../platform/kube/resources.ts'
import type { Draft } from '../../platform/kube/types.ts'
import { assert } from '../../shared/assert.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model, ModelSpec } from '../../shared/crd/model.ts'
import {
  jobContainerName,
  loraFolderVariable,
  podEnvironment,
  podPaths,
} from '../../shared/domain/pod-contract.ts'
import {
  apiGroupVersion,
  gpuResource,
  internalAudience,
  labels,
  serviceAccounts,
  taints,
} from '../../shared/names.ts'
import { GRACE_SECONDS, SCRATCH_SIZE, TOKEN_SECONDS } from '../limits.ts'
import type { ControllerSettings } from '../settings.ts'
import { type ModelSet, requestOf } from './eligibility.ts'
import { attemptJobName, jobIdOf } from './names.ts'

export type AttemptPlan = {
  readonly job: GenerationJob
  readonly model: Model
  /** In the order of `spec.parameters.loras`. */
  readonly loras: readonly Model[]
  readonly number: number
  readonly gpus: number
  readonly settings: ControllerSettings
}

type JobSpec = NonNullable<Job['spec']>
type PodTemplate = JobSpec['template']
type PodSpec = NonNullable<PodTemplate['spec']>
type Container = PodSpec['containers'][number]
type Volume = NonNullable<PodSpec['volumes']>[number]
type VolumeMount = NonNullable<Container['volumeMounts']>[number]

/** User and group of the inference image. */
const USER_ID = 65532

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
      labels: attemptLabels(plan),
      ownerReferences: [ownerReference(job)],
    },
    spec: {
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      podReplacementPolicy: 'Failed',
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

/** Without blockOwnerDeletion, which would need rights on the owner's finalizers. */
function ownerReference(job: GenerationJob) {
  const { name, uid } = job.metadata
  return { apiVersion: apiGroupVersion, kind: 'GenerationJob', name, uid, controller: true }
}

function podSpec(plan: AttemptPlan): PodSpec {
  const { nodeSelector } = plan.settings
  return {
    restartPolicy: 'Never',
    serviceAccountName: serviceAccounts.job,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector }),
    tolerations: Object.values(taints).map((key) => ({ key, operator: 'Exists' })),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER_ID,
      runAsGroup: USER_ID,
      fsGroup: USER_ID,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [inferenceContainer(plan)],
    volumes: volumes(plan),
  }
}

function inferenceContainer(plan: AttemptPlan): Container {
  return {
    name: jobContainerName,
    image: plan.settings.inferenceImage,
    env: environment(plan),
    resources: containerResources(plan),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: volumeMounts(plan),
  }
}

function environment({ job, model, loras, number, settings }: AttemptPlan): Container['env'] {
  return [
    { name: podEnvironment.jobId, value: jobIdOf(job) },
    { name: podEnvironment.attempt, value: String(number) },
    { name: podEnvironment.apiUrl, value: settings.podApiUrl },
    { name: podEnvironment.tokenFile, value: podPaths.tokenFile },
    { name: podEnvironment.modelFolder, value: modelFolder(model.spec) },
    ...loras.map(({ spec }, index) => ({
      name: loraFolderVariable(index),
      value: packFolder(spec, `${podPaths.claimedLora}${index}`),
    })),
    { name: podEnvironment.inputsFolder, value: podPaths.inputs },
    { name: podEnvironment.graceSeconds, value: String(GRACE_SECONDS) },
    { name: podEnvironment.podIp, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
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

/** Where the pod finds the model's files. */
export function modelFolder(spec: ModelSpec): string {
  return packFolder(spec, podPaths.claimedModels)
}

function packFolder({ delivery }: ModelSpec, claimFolder: string): string {
  if (delivery.type === 'Claim') return joinPath(claimFolder, delivery.claim?.path)
  assert(delivery.type === 'Embedded', `no pod is made for delivery ${delivery.type}`)
  return joinPath(podPaths.embeddedModels, delivery.embedded?.path)
}

function joinPath(folder: string, path = ''): string {
  const relative = path.replace(/^\/+/, '')
  return relative === '' ? folder : `${folder}/${relative}`
}

function volumes(plan: AttemptPlan): Volume[] {
  return [
    { name: 'token', projected: { sources: [{ serviceAccountToken: tokenSource() }] } },
    { name: 'scratch', emptyDir: { sizeLimit: SCRATCH_SIZE } },
    ...claimsOf(plan).map(({ name, claimName }) => {
      return { name, persistentVolumeClaim: { claimName, readOnly: true } }
    }),
    ...inputVolumes(plan.job),
  ]
}

function tokenSource() {
  const path = podPaths.tokenFile.slice(podPaths.tokenFolder.length + 1)
  return { audience: internalAudience, expirationSeconds: TOKEN_SECONDS, path }
}

function volumeMounts(plan: AttemptPlan): VolumeMount[] {
  return [
    { name: 'token', mountPath: podPaths.tokenFolder, readOnly: true },
    { name: 'scratch', mountPath: podPaths.scratch },
    ...claimsOf(plan).map(({ name, mountPath }) => ({ name, mountPath, readOnly: true })),
    ...inputVolumes(plan.job).map(({ name }) => {
      return { name, mountPath: podPaths.inputs, readOnly: true }
    }),
  ]
}

/** One volume per pack on a claim, also when two packs lie on the same one. */
function claimsOf({ model, loras }: ModelSet) {
  const packs = [
    { name: 'model', mountPath: podPaths.claimedModels, spec: model.spec },
    ...loras.map(({ spec }, index) => {
      return { name: `lora-${index}`, mountPath: `${podPaths.claimedLora}${index}`, spec }
    }),
  ]
  return packs.flatMap(({ name, mountPath, spec: { delivery } }) => {
    const { claim } = delivery
    return delivery.type === 'Claim' && claim ? [{ name, mountPath, claimName: claim.name }] : []
  })
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
