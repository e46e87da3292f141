import { createHash } from 'node:crypto'
import type { Deployment, ResourceClaimTemplate } from '../../platform/kube/resources.ts'
import type { ApplyDraft, Draft } from '../../platform/kube/types.ts'
import { assert } from '../../shared/assert.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import {
  jobContainerName,
  loraFolderVariable,
  podEnvironment,
  podPaths,
  poolEnvironment,
  poolModelFolderVariable,
} from '../../shared/domain/pod-contract.ts'
import { annotations, apiGroupVersion, labels } from '../../shared/names.ts'
import { poolPort } from '../../shared/wire/pool.ts'
import { type Container, leastPrivilege, type PackParts, packParts } from '../packs.ts'
import { baseMounts, baseVolumes, podBase } from '../pod-base.ts'
import { poolKeySecretName } from '../pool-keys.ts'
import type { ControllerSettings } from '../settings.ts'
import { type GpuShape, gpuShape } from './gpu-shape.ts'
import { poolDeploymentName } from './names.ts'
import { packMarks } from './pack-marks.ts'
import { baseModelsOf, lorasOf, podAmounts, podGpus, type PoolFacts } from './pool-models.ts'

type DeploymentSpec = NonNullable<Deployment['spec']>
type PodTemplate = DeploymentSpec['template']
type PodSpec = NonNullable<PodTemplate['spec']>
type Probe = NonNullable<Container['readinessProbe']>
type ClaimTemplateSpec = ResourceClaimTemplate['spec']

export type PoolPlan = {
  readonly pool: ModelPool
  readonly facts: PoolFacts
  readonly settings: Pick<
    ControllerSettings,
    'inferenceImage' | 'podApiUrl' | 'nodeSelector' | 'packs'
  >
}

/** Everything that a pool's Deployment needs, as values. */
export type PoolShape = {
  readonly gpus: GpuShape
  /** Of the pods' claims; undefined when the device plugin serves them. */
  readonly claimTemplate: Draft<ResourceClaimTemplate> | undefined
  readonly deployment: Omit<ApplyDraft<Deployment>, 'spec'> & {
    readonly spec: Omit<DeploymentSpec, 'replicas'>
  }
}

/** The children of a pool but for their number. Every Model in the spec must be ready. */
export function poolShape(plan: PoolPlan): PoolShape {
  const { pool, facts } = plan
  const { name, namespace } = pool.metadata
  assert(namespace !== undefined, 'a ModelPool is namespaced')
  const gpus = gpuShape(pool.spec.gpu, podGpus(pool, facts))
  const claimTemplate = claimTemplateOf(pool, gpus)
  const spec: DeploymentSpec = {
    selector: { matchLabels: { [labels.pool]: name } },
    strategy: { type: 'RollingUpdate', rollingUpdate: rollingUpdateOf(gpus) },
    revisionHistoryLimit: 1,
    template: {
      metadata: {
        labels: { [labels.pool]: name },
        annotations: { [annotations.packs]: packMarks(pool, facts) },
      },
      spec: podSpec(plan, { gpus, claimTemplateName: claimTemplate?.metadata.name }),
    },
  }
  return {
    gpus,
    claimTemplate,
    deployment: {
      metadata: {
        ...childMetadata(pool),
        name: poolDeploymentName(name),
        annotations: { [annotations.shape]: digestOf(spec) },
      },
      spec,
    },
  }
}

/** Without blockOwnerDeletion, which would need rights on the owner's finalizers. */
export function childMetadata({ metadata: { name, namespace, uid } }: ModelPool) {
  return {
    ...(namespace === undefined ? {} : { namespace }),
    labels: { [labels.pool]: name },
    ownerReferences: [
      { apiVersion: apiGroupVersion, kind: 'ModelPool', name, uid, controller: true },
    ],
  }
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}

/**
 * With GPUs a pod goes before the one that replaces it comes: there may be no GPU for both, and
 * each would wait for the other. Without them the new one comes first, and no model grows cold.
 */
function rollingUpdateOf({ kind }: GpuShape) {
  return kind === 'None' ? { maxSurge: 1, maxUnavailable: 0 } : { maxSurge: 0, maxUnavailable: 1 }
}

type PodNeeds = { readonly gpus: GpuShape; readonly claimTemplateName: string | undefined }

function podSpec(plan: PoolPlan, needs: PodNeeds): PodSpec {
  const { pool, settings } = plan
  const packs = packsOf(plan)
  const { initContainers } = packs
  const { claimTemplateName } = needs
  return {
    ...podBase(settings),
    terminationGracePeriodSeconds: pool.spec.drainSeconds,
    ...affinityOf(needs.gpus),
    ...(claimTemplateName === undefined
      ? {}
      : { resourceClaims: [{ name: 'gpus', resourceClaimTemplateName: claimTemplateName }] }),
    ...(initContainers.length === 0 ? {} : { initContainers: [...initContainers] }),
    containers: [inferenceContainer(plan, needs.gpus, packs)],
    volumes: [...baseVolumes, keyVolume(pool), ...packs.volumes],
  }
}

function packsOf({ pool, facts, settings }: PoolPlan): PackParts {
  const packs = [
    ...baseModelsOf(pool, facts).map(({ model }, index) => {
      return { name: `model-${index}`, spec: model.spec }
    }),
    ...lorasOf(pool, facts).map(({ model }, index) => {
      return { name: `lora-${index}`, spec: model.spec }
    }),
  ]
  return packParts(packs, { settings, amounts: amountsOf(pool, facts) })
}

function affinityOf(gpus: GpuShape): Pick<PodSpec, 'affinity'> {
  if (gpus.kind !== 'Resource' || gpus.requirements.length === 0) return {}
  const nodeSelectorTerms = [{ matchExpressions: gpus.requirements }]
  return {
    affinity: {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } },
    },
  }
}

/** Readable for the group of the image only. */
function keyVolume({ metadata }: ModelPool) {
  const path = podPaths.poolKeyFile.slice(podPaths.poolKeyFolder.length + 1)
  const secretName = poolKeySecretName(metadata.name)
  return { name: 'key', secret: { secretName, defaultMode: 0o440, items: [{ key: 'key', path }] } }
}

function inferenceContainer(plan: PoolPlan, gpus: GpuShape, packs: PackParts): Container {
  return {
    name: jobContainerName,
    image: plan.settings.inferenceImage,
    env: environment(plan, packs),
    ports: [{ name: 'jobs', containerPort: poolPort }],
    resources: resourcesOf(plan, gpus),
    readinessProbe: readiness,
    livenessProbe: liveness,
    securityContext: leastPrivilege,
    volumeMounts: [
      ...baseMounts,
      { name: 'key', mountPath: podPaths.poolKeyFolder, readOnly: true },
      ...packs.mounts,
    ],
  }
}

const readiness: Probe = {
  httpGet: { path: '/readyz', port: 'jobs' },
  periodSeconds: 2,
  timeoutSeconds: 5,
  failureThreshold: 3,
}
/** Patient: a process that is short of processors is not dead, and its jobs would be lost. */
const liveness: Probe = {
  httpGet: { path: '/healthz', port: 'jobs' },
  periodSeconds: 10,
  timeoutSeconds: 10,
  failureThreshold: 6,
}

/** What a value refers to stands before it: Kubernetes expands in order. */
function environment(plan: PoolPlan, packs: PackParts): Container['env'] {
  const { pool, facts, settings } = plan
  const bases = baseModelsOf(pool, facts).map(({ name }) => name)
  const loras = lorasOf(pool, facts).map(({ name }) => name)
  const folders = packs.folders
  return [
    { name: podEnvironment.podIp, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: poolEnvironment.podUid, valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
    { name: poolEnvironment.pool, value: pool.metadata.name },
    // Not 0.0.0.0: on a process node all pods share one network.
    { name: poolEnvironment.listen, value: `$(${podEnvironment.podIp}):${poolPort}` },
    { name: poolEnvironment.keyFile, value: podPaths.poolKeyFile },
    { name: poolEnvironment.slots, value: String(pool.spec.slots) },
    { name: poolEnvironment.models, value: bases.join(',') },
    ...bases.map((_, index) => ({ name: poolModelFolderVariable(index), value: folders[index] })),
    { name: poolEnvironment.loras, value: loras.join(',') },
    ...loras.map((_, index) => {
      return { name: loraFolderVariable(index), value: folders[bases.length + index] }
    }),
    { name: podEnvironment.apiUrl, value: settings.podApiUrl },
    { name: podEnvironment.tokenFile, value: podPaths.tokenFile },
    { name: podEnvironment.graceSeconds, value: String(pool.spec.drainSeconds) },
    ...packs.variables,
  ]
}

/** Requests equal limits: a guaranteed pod is the last to be evicted. */
function resourcesOf({ pool, facts }: PoolPlan, gpus: GpuShape): Container['resources'] {
  const amounts = {
    ...amountsOf(pool, facts),
    ...(gpus.kind === 'Resource' ? { [gpus.resource]: String(gpus.count) } : {}),
  }
  const claims = gpus.kind === 'Claim' ? { claims: [{ name: 'gpus' }] } : {}
  return { requests: amounts, limits: amounts, ...claims }
}

function amountsOf(pool: ModelPool, facts: PoolFacts) {
  const { cpuMillis, memoryBytes } = podAmounts(pool, facts)
  return { cpu: `${cpuMillis}m`, memory: String(memoryBytes) }
}

/** Templates never change, so each wish has its own; see claim-templates.ts for their end. */
function claimTemplateOf(pool: ModelPool, gpus: GpuShape): PoolShape['claimTemplate'] {
  if (gpus.kind !== 'Claim') return undefined
  const { deviceClassName, count, selectors } = gpus.request
  const exactly = {
    deviceClassName,
    allocationMode: 'ExactCount',
    count,
    ...(selectors.length === 0
      ? {}
      : { selectors: selectors.map((expression) => ({ cel: { expression } })) }),
  }
  const spec: ClaimTemplateSpec = { spec: { devices: { requests: [{ name: 'gpus', exactly }] } } }
  const name = `${poolDeploymentName(pool.metadata.name)}-${digestOf(spec)}`
  return { metadata: { ...childMetadata(pool), name }, spec }
}
