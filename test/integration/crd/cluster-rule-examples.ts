import type { departmentRules } from '../../../src/shared/crd/department.ts'
import { pictureTasks } from '../../../src/shared/crd/generation-job.ts'
import type { modelPoolRules } from '../../../src/shared/crd/model-pool.ts'
import type { modelRules } from '../../../src/shared/crd/model-rules.ts'
import {
  deliveries,
  departmentOf,
  type Json,
  loraOf,
  type Manifest,
  modelOf,
  poolOf,
  smallPool,
} from './objects.ts'
import { type ExamplesOf, immutable, type RuleExamples } from './rule-examples.ts'

function member(type: keyof typeof deliveries): RuleExamples {
  const without = type === 'Claim' ? deliveries.Fetch : deliveries.Claim
  return {
    accepted: [modelOf({ delivery: deliveries[type] }), modelOf({ delivery: without })],
    refused: [
      modelOf({ delivery: { type } }),
      modelOf({ delivery: { ...deliveries[type], ...without } }),
    ],
  }
}

function sizes(width: Json, height: Json = { min: 64, max: 512, multipleOf: 64 }): Manifest {
  return modelOf({ sizes: { width, height }, defaults: undefined })
}

function defaults(side: 'width' | 'height'): RuleExamples {
  const range = { min: 64, max: 512, multipleOf: 64 }
  const model = (value: number) =>
    modelOf({ sizes: { width: range, height: range }, defaults: { [side]: value } })
  return {
    accepted: [
      model(64),
      model(512),
      modelOf({ sizes: undefined, defaults: { [side]: 8 } }),
      modelOf({ defaults: { steps: 4 } }),
      modelOf({ defaults: undefined }),
    ],
    refused: [model(56), model(576), model(72)],
  }
}

const rates = [
  'flatMicroCredits',
  'perImageMicroCredits',
  'perMegapixelStepMicroCredits',
  'perTrainingStepMicroCredits',
]
const withoutDigest = modelOf({ digest: undefined })
const someGpus = (gpus: number) => ({ gpus, cpu: '1', memory: '1Gi' })

export const modelExamples: ExamplesOf<typeof modelRules> = {
  spec: {
    typeImmutable: {
      accepted: [{ before: loraOf(), after: loraOf({ licence: 'MIT' }) }],
      refused: [
        { before: loraOf(), after: loraOf({ type: 'Base' }) },
        { before: loraOf(), after: loraOf({ type: undefined }) },
      ],
    },
    loraHasNoPrice: {
      accepted: [
        loraOf(),
        loraOf({ price: { flatMicroCredits: 0, perMegapixelStepMicroCredits: 0 } }),
        modelOf({ price: { perImageMicroCredits: 0 } }),
      ],
      refused: rates.map((rate) => loraOf({ price: { [rate]: 1 } })),
    },
    loraHasNoGpus: {
      accepted: [loraOf(), modelOf({ resources: someGpus(0) })],
      refused: [loraOf({ resources: someGpus(1) })],
    },
    loraHasNoDefaults: {
      accepted: [loraOf(), modelOf({ defaults: {} })],
      refused: [loraOf({ defaults: {} }), loraOf({ defaults: { steps: 4 } })],
    },
    loraHasNoSizes: {
      accepted: [loraOf(), modelOf()],
      refused: [loraOf({ sizes: modelOf().spec['sizes'] })],
    },
    loraMakesPictures: {
      accepted: [loraOf({ tasks: pictureTasks }), modelOf({ tasks: ['Upscale'] })],
      refused: [loraOf({ tasks: ['TextToImage', 'Upscale'] })],
    },
    deliveryImmutable: immutable(
      modelOf(),
      [
        { delivery: deliveries.Claim },
        { delivery: { type: 'Embedded', embedded: { path: 'other' } } },
      ],
      {
        displayName: 'New',
        price: { perImageMicroCredits: 1 },
        visibility: 'Public',
        departments: [],
      },
    ),
    digestIsFinal: {
      accepted: [
        { before: modelOf(), after: modelOf() },
        { before: withoutDigest, after: modelOf() },
        { before: withoutDigest, after: withoutDigest },
      ],
      refused: [
        { before: modelOf(), after: modelOf({ digest: 'b2'.repeat(32) }) },
        { before: modelOf(), after: withoutDigest },
      ],
    },
    fetchNeedsDigest: {
      accepted: [modelOf({ delivery: deliveries.Fetch }), withoutDigest],
      refused: [modelOf({ delivery: deliveries.Fetch, digest: undefined })],
    },
    noGpuNeedsCpu: {
      accepted: [
        modelOf({ resources: someGpus(0), runsOn: ['Cpu'] }),
        modelOf({ resources: someGpus(0), runsOn: ['Gpu', 'Cpu'] }),
        modelOf({ resources: someGpus(1), runsOn: ['Gpu'] }),
      ],
      refused: [modelOf({ resources: someGpus(0), runsOn: ['Gpu'] })],
    },
    gpusNeedGpu: {
      accepted: [
        modelOf({ resources: someGpus(2), runsOn: ['Cpu', 'Gpu'] }),
        modelOf({ resources: someGpus(0), runsOn: ['Cpu'] }),
      ],
      refused: [modelOf({ resources: someGpus(1), runsOn: ['Cpu'] })],
    },
    departmentsGoWithVisibility: {
      accepted: [
        modelOf({ visibility: 'Departments', departments: ['vision', 'assembly'] }),
        modelOf({ visibility: 'Public', departments: [] }),
        modelOf({ visibility: undefined, departments: undefined }),
      ],
      refused: [
        modelOf({ visibility: 'Departments', departments: [] }),
        modelOf({ visibility: 'Departments', departments: undefined }),
        modelOf({ visibility: 'Public', departments: ['vision'] }),
        // Somebody who lists departments means to keep the others out.
        modelOf({ visibility: undefined, departments: ['vision'] }),
      ],
    },
    defaultWidthFits: defaults('width'),
    defaultHeightFits: defaults('height'),
  },
  'spec.delivery': {
    embeddedGoesWithType: member('Embedded'),
    claimGoesWithType: member('Claim'),
    imageGoesWithType: member('Image'),
    fetchGoesWithType: member('Fetch'),
  },
  'spec.price': {
    someRate: {
      accepted: rates.map((rate) => modelOf({ price: { [rate]: 0 } })),
      refused: [modelOf({ price: {} })],
    },
  },
  'spec.sizes.width': {
    minUpToMax: {
      accepted: [sizes({ min: 64, max: 64, multipleOf: 8 })],
      refused: [sizes({ min: 72, max: 64, multipleOf: 8 })],
    },
  },
  'spec.sizes.height': {
    minUpToMax: {
      accepted: [sizes({ min: 64, max: 72, multipleOf: 8 }, { min: 64, max: 64, multipleOf: 8 })],
      refused: [sizes({ min: 64, max: 72, multipleOf: 8 }, { min: 72, max: 64, multipleOf: 8 })],
    },
  },
}

export const departmentExamples: ExamplesOf<typeof departmentRules> = {
  spec: {
    namespaceImmutable: immutable(
      departmentOf(),
      [{ namespace: 'assembly' }, { namespace: undefined }],
      { weight: 1, limits: undefined, displayName: 'New' },
    ),
    namespaceIsNotSystem: {
      accepted: [departmentOf({ namespace: undefined }), departmentOf({ namespace: 'kubernetes' })],
      refused: ['kube-system', 'kube-public', 'atelier-system'].map((namespace) =>
        departmentOf({ namespace }),
      ),
    },
  },
}

function mig(products: readonly string[] | undefined): Manifest {
  return poolOf({}, { products, sharing: 'Mig' })
}

export const modelPoolExamples: ExamplesOf<typeof modelPoolRules> = {
  spec: {
    minUpToMax: {
      accepted: [
        smallPool,
        poolOf({ minReplicas: 3, maxReplicas: 3 }),
        { before: poolOf(), after: poolOf({ minReplicas: 100 }) },
      ],
      refused: [
        poolOf({ minReplicas: 4, maxReplicas: 3 }),
        // The default of maxReplicas is 1.
        poolOf({ minReplicas: 2, maxReplicas: undefined, replicas: undefined }),
        { before: poolOf(), after: poolOf({ minReplicas: 4, maxReplicas: 3 }) },
      ],
    },
    replicasUpToMax: {
      accepted: [poolOf({ maxReplicas: 2, replicas: 2 }), poolOf({ replicas: 0 })],
      refused: [
        poolOf({ maxReplicas: 2, replicas: 3 }),
        { before: poolOf(), after: poolOf({ maxReplicas: 1 }) },
      ],
    },
  },
  'spec.gpu': {
    migNeedsProfile: {
      accepted: [
        mig(['1g.5gb']),
        mig(['1g.10gb.me', 'NVIDIA-A100-SXM4-40GB-MIG-1g.10gb.me']),
        poolOf({}, { products: undefined }),
      ],
      refused: [mig(undefined), mig([]), mig(['A100']), mig(['1g.5gb-MIG'])],
    },
    migHasOneProfile: {
      accepted: [
        mig(['A100-MIG-1g.5gb', 'H100-MIG-1g.5gb', '1g.5gb']),
        poolOf({}, { products: ['A100', 'H100-PCIe'] }),
      ],
      refused: [mig(['1g.5gb', '2g.10gb']), mig(['A100-MIG-1g.5gb', 'A100-MIG-2g.10gb'])],
    },
    sharedNeedsDevicePlugin: {
      accepted: [
        poolOf({}, { sharing: 'Shared', api: 'Auto' }),
        poolOf({}, { sharing: 'Exclusive', api: 'DRA' }),
      ],
      refused: [poolOf({}, { sharing: 'Shared', api: 'DRA' })],
    },
  },
}
