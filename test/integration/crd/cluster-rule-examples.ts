import type { departmentRules } from '../../../src/shared/crd/department.ts'
import { pictureTasks } from '../../../src/shared/crd/generation-job.ts'
import type { modelRules } from '../../../src/shared/crd/model-rules.ts'
import { deliveries, departmentOf, type Json, loraOf, type Manifest, modelOf } from './objects.ts'
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
