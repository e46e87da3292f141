import { describe, expect, it } from 'vitest'
import { poolShape } from '../../../../src/controller/model-pool/deployment.ts'
import type { PoolFacts } from '../../../../src/controller/model-pool/pool-models.ts'
import type { ModelPoolSpec } from '../../../../src/shared/crd/model-pool.ts'
import type { Model } from '../../../../src/shared/crd/model.ts'
import { aPool } from '../board-scene.ts'
import { aModel, packSettings } from '../builders.ts'

const settings = {
  inferenceImage: 'atelier.dev/inference:1',
  podApiUrl: 'http://api.atelier-system:8081',
  nodeSelector: {},
  packs: packSettings,
}

const large = aModel({ resources: { gpus: 1, cpu: '500m', memory: '6Gi' } })
const lora = aModel({ type: 'Lora', resources: { gpus: 0, cpu: '250m', memory: '64Mi' } })
const onClaim = aModel({ delivery: { type: 'Claim', claim: { name: 'weights', path: 'sd15' } } })
const gpuOnly = aModel({ runsOn: ['Gpu'] })
const models: Readonly<Record<string, Model>> = { demo: aModel(), large, lora, onClaim, gpuOnly }

type Options = {
  readonly models?: readonly string[]
  readonly spec?: Partial<ModelPoolSpec>
  readonly facts?: Partial<PoolFacts>
  readonly settings?: Partial<typeof settings>
}

function shapeOf(options: Options = {}) {
  const names = (options.models ?? ['demo']).map((name) => ({ name }))
  return poolShape({
    pool: aPool({ models: names, ...options.spec }),
    facts: { modelOf: (name) => models[name], onCpu: false, ...options.facts },
    settings: { ...settings, ...options.settings },
  })
}

const podOf = (options: Options = {}) => shapeOf(options).deployment.spec.template.spec
const containerOf = (options: Options = {}) => podOf(options)?.containers[0]
const gpuOf = (over: Partial<ModelPoolSpec['gpu']>): Options => ({
  spec: { gpu: { count: 1, sharing: 'Exclusive', api: 'Auto', ...over } },
})

describe('the Deployment of a pool', () => {
  it('is exactly this', () => {
    const amounts = { cpu: '2000m', memory: String(4 * 2 ** 30), 'nvidia.com/gpu': '1' }
    const labels = { 'atelier.dev/pool': 'warm' }
    const { deployment, claimTemplate } = shapeOf()
    expect(claimTemplate).toBeUndefined()
    expect(deployment).toEqual({
      metadata: {
        name: 'pool-warm',
        namespace: 'vision',
        labels,
        annotations: { 'atelier.dev/shape': expect.stringMatching(/^[0-9a-f]{16}$/) },
        ownerReferences: [
          {
            apiVersion: 'atelier.dev/v1alpha1',
            kind: 'ModelPool',
            name: 'warm',
            uid: 'pool-uid',
            controller: true,
          },
        ],
      },
      spec: {
        selector: { matchLabels: labels },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
        revisionHistoryLimit: 1,
        template: {
          metadata: {
            labels,
            annotations: { 'atelier.dev/packs': expect.stringMatching(/^demo=[0-9a-f]{16}$/) },
          },
          spec: {
            serviceAccountName: 'atelier-job',
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 3600,
            tolerations: [
              { key: 'nvidia.com/gpu', operator: 'Exists' },
              { key: 'atelier.dev/process-node', operator: 'Exists' },
            ],
            securityContext: {
              runAsNonRoot: true,
              runAsUser: 65532,
              runAsGroup: 65532,
              fsGroup: 65532,
              fsGroupChangePolicy: 'OnRootMismatch',
              seccompProfile: { type: 'RuntimeDefault' },
            },
            affinity: {
              nodeAffinity: {
                requiredDuringSchedulingIgnoredDuringExecution: {
                  nodeSelectorTerms: [
                    {
                      matchExpressions: [
                        {
                          key: 'nvidia.com/gpu.sharing-strategy',
                          operator: 'NotIn',
                          values: ['mps', 'time-slicing'],
                        },
                      ],
                    },
                  ],
                },
              },
            },
            containers: [
              {
                name: 'inference',
                image: 'atelier.dev/inference:1',
                env: [
                  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                  { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
                  { name: 'ATELIER_POOL', value: 'warm' },
                  { name: 'ATELIER_POOL_LISTEN', value: '$(POD_IP):8080' },
                  {
                    name: 'ATELIER_POOL_KEY_FILE',
                    value: '/var/run/secrets/atelier.dev-pool/key',
                  },
                  { name: 'ATELIER_POOL_SLOTS', value: '1' },
                  { name: 'ATELIER_POOL_MODELS', value: 'demo' },
                  { name: 'ATELIER_POOL_MODEL_FOLDER_0', value: '/models/demo' },
                  { name: 'ATELIER_POOL_LORAS', value: '' },
                  { name: 'ATELIER_API_URL', value: 'http://api.atelier-system:8081' },
                  { name: 'ATELIER_TOKEN_FILE', value: '/var/run/secrets/atelier.dev/token' },
                  { name: 'ATELIER_GRACE_SECONDS', value: '3600' },
                ],
                ports: [{ name: 'jobs', containerPort: 8080 }],
                resources: { requests: amounts, limits: amounts },
                readinessProbe: {
                  httpGet: { path: '/readyz', port: 'jobs' },
                  periodSeconds: 2,
                  timeoutSeconds: 5,
                  failureThreshold: 3,
                },
                livenessProbe: {
                  httpGet: { path: '/healthz', port: 'jobs' },
                  periodSeconds: 10,
                  timeoutSeconds: 10,
                  failureThreshold: 6,
                },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [
                  { name: 'token', mountPath: '/var/run/secrets/atelier.dev', readOnly: true },
                  { name: 'scratch', mountPath: '/scratch' },
                  {
                    name: 'key',
                    mountPath: '/var/run/secrets/atelier.dev-pool',
                    readOnly: true,
                  },
                ],
              },
            ],
            volumes: [
              {
                name: 'token',
                projected: {
                  sources: [
                    {
                      serviceAccountToken: {
                        audience: 'internal.atelier.dev',
                        expirationSeconds: 3600,
                        path: 'token',
                      },
                    },
                  ],
                },
              },
              { name: 'scratch', emptyDir: { sizeLimit: '8Gi' } },
              {
                name: 'key',
                secret: {
                  secretName: 'pool-warm-key',
                  defaultMode: 0o440,
                  items: [{ key: 'key', path: 'key' }],
                },
              },
            ],
          },
        },
      },
    })
  })

  it('names base models and LoRAs apart, each with its folder and volume', () => {
    const options = { models: ['lora', 'onClaim', 'demo'] }
    const env = containerOf(options)?.env ?? []
    expect(env).toEqual(
      expect.arrayContaining([
        { name: 'ATELIER_POOL_MODELS', value: 'onClaim,demo' },
        { name: 'ATELIER_POOL_MODEL_FOLDER_0', value: '/claims/model-0/sd15' },
        { name: 'ATELIER_POOL_MODEL_FOLDER_1', value: '/models/demo' },
        { name: 'ATELIER_POOL_LORAS', value: 'lora' },
        { name: 'ATELIER_LORA_FOLDER_0', value: '/models/demo' },
      ]),
    )
    expect(podOf(options)?.volumes?.slice(3)).toEqual([
      { name: 'model-0', persistentVolumeClaim: { claimName: 'weights', readOnly: true } },
    ])
  })

  it('has room in each slot for the largest model and all LoRAs', () => {
    const limits = containerOf({ models: ['demo', 'large', 'lora'], spec: { slots: 2 } })?.resources
    expect(limits?.limits).toMatchObject({
      cpu: '4500m',
      memory: String(2 * (6 * 2 ** 30 + 64 * 2 ** 20)),
      'nvidia.com/gpu': '1',
    })
  })

  it('lets pods finish their jobs for as long as the pool says', () => {
    const options = { spec: { drainSeconds: 77 } }
    expect(podOf(options)?.terminationGracePeriodSeconds).toBe(77)
    expect(containerOf(options)?.env).toContainEqual({ name: 'ATELIER_GRACE_SECONDS', value: '77' })
  })

  it('keeps to the Nodes that were selected', () => {
    const nodeSelector = { 'example.com/pool': 'images' }
    expect(podOf({ settings: { nodeSelector } })?.nodeSelector).toEqual(nodeSelector)
  })
})

describe('GPUs of a pool', () => {
  it('are none on a cluster without any, where all its models can do without', () => {
    const onCpu = { facts: { onCpu: true } }
    const { deployment, gpus } = shapeOf(onCpu)
    expect(gpus).toEqual({ kind: 'None' })
    expect(containerOf(onCpu)?.resources?.limits).not.toHaveProperty('nvidia.com/gpu')
    expect(podOf(onCpu)).not.toHaveProperty('affinity')
    expect(deployment.spec.strategy?.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
    expect(shapeOf({ ...onCpu, models: ['demo', 'gpuOnly'] }).gpus.kind).toBe('Resource')
    const mig = gpuOf({ sharing: 'Mig', products: ['1g.5gb'] })
    expect(shapeOf({ ...onCpu, ...mig }).gpus.kind).toBe('Resource')
    expect(shapeOf({ ...onCpu, ...gpuOf({ api: 'DRA' }) }).gpus.kind).toBe('Claim')
  })

  it('are the resource of the slices that it wants', () => {
    const mig = gpuOf({ sharing: 'Mig', products: ['1g.5gb'], count: 2 })
    expect(containerOf(mig)?.resources?.limits).toMatchObject({ 'nvidia.com/mig-1g.5gb': '2' })
    expect(containerOf(mig)?.resources?.limits).not.toHaveProperty('nvidia.com/gpu')
    expect(podOf(mig)).not.toHaveProperty('affinity')
  })

  it('are claims made from a template of its own, another one for each wish', () => {
    const dra = gpuOf({ api: 'DRA', minMemoryMiB: 1000 })
    const { claimTemplate, deployment } = shapeOf(dra)
    expect(claimTemplate?.metadata.name).toMatch(/^pool-warm-[0-9a-f]{16}$/)
    expect(claimTemplate?.metadata.ownerReferences).toEqual(deployment.metadata.ownerReferences)
    expect(podOf(dra)?.resourceClaims).toEqual([
      { name: 'gpus', resourceClaimTemplateName: claimTemplate?.metadata.name },
    ])
    expect(containerOf(dra)?.resources?.claims).toEqual([{ name: 'gpus' }])
    expect(deployment.spec.strategy?.rollingUpdate).toEqual({ maxSurge: 0, maxUnavailable: 1 })
    const other = shapeOf(gpuOf({ api: 'DRA', minMemoryMiB: 2000 })).claimTemplate
    expect(other?.metadata.name).not.toBe(claimTemplate?.metadata.name)
  })
})

const digest = (options?: Options) =>
  shapeOf(options).deployment.metadata.annotations?.['atelier.dev/shape']

describe('the digest of its shape', () => {
  it('changes with what its pods are, and not with their number', () => {
    expect(digest({ spec: { drainSeconds: 60 } })).not.toBe(digest())
    expect(digest({ models: ['demo', 'lora'] })).not.toBe(digest())
    expect(digest({ spec: { minReplicas: 3, maxReplicas: 9, replicas: 4 } })).toBe(digest())
  })
})
