import { describe, expect, it } from 'vitest'
import { attemptJob } from '../../../src/controller/generation-job/job.ts'
import { plannedNameOf } from '../../../src/controller/generation-job/planned-node.ts'
import type { Model } from '../../../src/shared/crd/model.ts'
import type { ControllerSettings } from '../../../src/controller/settings.ts'
import { aJob, aModel, packSettings, uid } from './builders.ts'

const settings: ControllerSettings = {
  inferenceImage: 'atelier.dev/inference:1',
  podApiUrl: 'http://api.atelier-system:8081',
  allowCpu: false,
  retryBaseMs: 10_000,
  nodeSelector: {},
  packs: packSettings,
}
const noLoras: readonly Model[] = []
const plan = { job: aJob(), model: aModel(), loras: noLoras, number: 2, gpus: 1, settings }

const specOf = (nodeName?: string) => attemptJob({ ...plan, nodeName }).spec?.template.spec

describe('the Node that was planned', () => {
  it.each(['node-7', undefined])('is a wish that is found again in the pod: %s', (name) => {
    expect(plannedNameOf(specOf(name))).toBe(name)
  })

  it('binds nothing: a pod that insisted would wait for ever for a Node that has gone', () => {
    const { nodeAffinity } = specOf('node-7')?.affinity ?? {}
    expect(Object.keys(nodeAffinity ?? {})).toEqual([
      'preferredDuringSchedulingIgnoredDuringExecution',
    ])
    expect(specOf('node-7')).not.toHaveProperty('nodeName')
  })
})

function podSpecOf(over: Partial<typeof plan> = {}) {
  return attemptJob({ ...plan, ...over }).spec?.template.spec
}

const configMapRef = (key: string) => ({ configMapRef: { name: 'pictures', key } })

function source(key: string, path: string) {
  return { configMap: { name: 'pictures', optional: true, items: [{ key, path }] } }
}

describe('the Job of an attempt', () => {
  it('is exactly this', () => {
    const amounts = { cpu: '2', memory: '4Gi', 'nvidia.com/gpu': '1' }
    const labels = {
      'atelier.dev/job-uid': uid,
      'atelier.dev/attempt': '2',
      'atelier.dev/department': 'vision',
    }
    expect(attemptJob(plan)).toEqual({
      metadata: {
        name: `gj-${uid}-a2`,
        namespace: 'vision',
        labels,
        ownerReferences: [
          {
            apiVersion: 'atelier.dev/v1alpha1',
            kind: 'GenerationJob',
            name: 'job',
            uid,
            controller: true,
          },
        ],
      },
      spec: {
        parallelism: 1,
        completions: 1,
        backoffLimit: 0,
        podReplacementPolicy: 'Failed',
        template: {
          metadata: { labels },
          spec: {
            restartPolicy: 'Never',
            serviceAccountName: 'atelier-job',
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 30,
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
            containers: [
              {
                name: 'inference',
                image: 'atelier.dev/inference:1',
                env: [
                  { name: 'ATELIER_JOB_ID', value: uid },
                  { name: 'ATELIER_ATTEMPT', value: '2' },
                  { name: 'ATELIER_API_URL', value: 'http://api.atelier-system:8081' },
                  { name: 'ATELIER_TOKEN_FILE', value: '/var/run/secrets/atelier.dev/token' },
                  { name: 'ATELIER_MODEL_FOLDER', value: '/models/demo' },
                  { name: 'ATELIER_INPUTS_FOLDER', value: '/inputs' },
                  { name: 'ATELIER_GRACE_SECONDS', value: '30' },
                  { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
                ],
                resources: { requests: amounts, limits: amounts },
                securityContext: {
                  allowPrivilegeEscalation: false,
                  readOnlyRootFilesystem: true,
                  capabilities: { drop: ['ALL'] },
                },
                volumeMounts: [
                  { name: 'token', mountPath: '/var/run/secrets/atelier.dev', readOnly: true },
                  { name: 'scratch', mountPath: '/scratch' },
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
            ],
          },
        },
      },
    })
  })

  it('has neither a deadline nor a time to live, because both are decided elsewhere', () => {
    const { spec } = attemptJob(plan)
    expect(spec).not.toHaveProperty('activeDeadlineSeconds')
    expect(spec).not.toHaveProperty('ttlSecondsAfterFinished')
  })

  it('carries the job id of the api where there is one', () => {
    const jobId = '01jabcdefghjkmnpqrstvwxyz0'
    const [container] = podSpecOf({ job: aJob({ spec: { jobId } }) })?.containers ?? []
    expect(container?.env?.[0]).toEqual({ name: 'ATELIER_JOB_ID', value: jobId })
    expect(attemptJob(plan).metadata.name).toContain(uid)
  })

  it('asks for no GPU at all on the CPU path', () => {
    const [container] = podSpecOf({ gpus: 0 })?.containers ?? []
    expect(container?.resources).toEqual({
      requests: { cpu: '2', memory: '4Gi' },
      limits: { cpu: '2', memory: '4Gi' },
    })
  })

  it('keeps to the Nodes that were selected', () => {
    const nodeSelector = { 'example.com/pool': 'images' }
    expect(podSpecOf({ settings: { ...settings, nodeSelector } })?.nodeSelector).toEqual(
      nodeSelector,
    )
  })

  it('fetches before it starts, and says so to the api as the attempt that it is', () => {
    const digest = 'a1'.repeat(32)
    const fetch = { url: 'https://models.example/sd15' }
    const spec = podSpecOf({ model: aModel({ delivery: { type: 'Fetch', fetch }, digest }) })
    expect(spec?.initContainers).toMatchObject([
      {
        env: expect.arrayContaining(spec?.containers[0]?.env?.slice(0, 4) ?? []),
        volumeMounts: [{ name: 'packs' }, { name: 'token' }],
        resources: { limits: { cpu: '2', memory: '4Gi' } },
      },
    ])
    expect(spec?.containers[0]?.env).toEqual(
      expect.arrayContaining([
        { name: 'ATELIER_MODEL_FOLDER', value: `/packs/${digest}` },
        { name: 'ATELIER_FIRST_SEQUENCE', value: '1000000' },
      ]),
    )
  })

  it('mounts each LoRA of a claim by its index and names every LoRA’s folder', () => {
    const claim = { type: 'Claim' as const, claim: { name: 'loras', path: 'rust' } }
    const loras = [
      aModel({ type: 'Lora', resources: { gpus: 0, cpu: '0', memory: '64Mi' } }),
      aModel({ delivery: claim, resources: { gpus: 0, cpu: '500m', memory: '1Gi' } }),
    ]
    const spec = podSpecOf({ loras })
    const [container] = spec?.containers ?? []
    expect(container?.env).toEqual(
      expect.arrayContaining([
        { name: 'ATELIER_LORA_FOLDER_0', value: '/models/demo' },
        { name: 'ATELIER_LORA_FOLDER_1', value: '/claims/lora-1/rust' },
      ]),
    )
    expect(spec?.volumes?.slice(2)).toEqual([
      { name: 'lora-1', persistentVolumeClaim: { claimName: 'loras', readOnly: true } },
    ])
    expect(container?.volumeMounts?.slice(2)).toEqual([
      { name: 'lora-1', mountPath: '/claims/lora-1', readOnly: true },
    ])
    expect(container?.resources?.limits).toEqual({
      cpu: '2500m',
      memory: String((4096 + 64 + 1024) * 2 ** 20),
      'nvidia.com/gpu': '1',
    })
  })

  it('mounts the keys of ConfigMaps as files named by the index of the input', () => {
    const inputs = [
      { role: 'Image' as const, artifact: 'a' },
      { role: 'Image' as const, ...configMapRef('part.png') },
      { role: 'Mask' as const, ...configMapRef('mask.png') },
    ]
    const spec = podSpecOf({ job: aJob({ spec: { task: 'Inpaint', inputs } }) })
    expect(spec?.volumes?.slice(2)).toEqual([
      {
        name: 'inputs',
        projected: { sources: [source('part.png', '1'), source('mask.png', '2')] },
      },
    ])
    expect(spec?.containers[0]?.volumeMounts?.slice(2)).toEqual([
      { name: 'inputs', mountPath: '/inputs', readOnly: true },
    ])
  })
})
