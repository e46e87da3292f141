import { z } from 'zod'
import { conditions, labelName, observedGeneration, type Resource } from './common.ts'
import type { RulesByPlace } from './rules.ts'

/** `1g.5gb`, or the name of a product that ends with it, such as `A100-SXM4-40GB-MIG-1g.5gb`. */
const migProfile = '^([A-Za-z0-9.-]+-MIG-)?[0-9]+g[.][0-9]+gb([.]me)?$'

const gpu = z.object({
  count: z.int().min(0).max(16).describe('GPUs of one pod, shared by its slots.').default(1),
  minMemoryMiB: z
    .int()
    .min(1)
    .max(1_048_576)
    .describe('Memory that each GPU has at least.')
    .optional(),
  products: z
    .array(
      z
        .string()
        .min(1)
        .max(63)
        .regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/),
    )
    .max(16)
    .describe('Any of these, as GPU feature discovery names them; for Mig: of one profile.')
    .optional(),
  sharing: z
    .enum(['Exclusive', 'Shared', 'Mig'])
    .describe('Shared: replicas of time-sliced GPUs. Mig: slices of the profile in products.')
    .default('Exclusive'),
  api: z
    .enum(['Auto', 'DevicePlugin', 'DRA'])
    .describe('How pods ask for GPUs. Auto: by the device plugin.')
    .default('Auto'),
})

export const modelPoolSpec = z
  .object({
    models: z
      .array(z.object({ name: labelName.describe('Name of a Model.') }))
      .min(1)
      .max(16)
      .describe('Base models, in the order of preloading, and LoRAs that jobs on them may use.'),
    minReplicas: z.int().min(0).max(100).describe('Pods that are always kept.').default(0),
    maxReplicas: z.int().min(1).max(100).describe('Pods that there may be.').default(1),
    replicas: z
      .int()
      .min(0)
      .max(100)
      .describe('Exactly so many pods; absent: as many as the waiting jobs need.')
      .optional(),
    idleSeconds: z
      .int()
      .min(1)
      .max(86_400)
      .describe('How long a pod may have nothing to do before it is given up.')
      .default(300),
    slots: z.int().min(1).max(16).describe('Jobs at a time in one pod.').default(1),
    drainSeconds: z
      .int()
      .min(30)
      .max(86_400)
      .describe('How long a pod that is to end may finish its jobs.')
      .default(3600),
    // In full: the API server asks the rules about a default before it fills in those within.
    gpu: gpu.describe('GPUs of one pod.').default({ count: 1, sharing: 'Exclusive', api: 'Auto' }),
  })
  .describe('Warm pods for some models.')
export type ModelPoolSpec = z.infer<typeof modelPoolSpec>

export const modelPoolStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    replicas: z.int().min(0).max(1_000_000).describe('Pods that there are.').optional(),
    readyReplicas: z.int().min(0).max(1_000_000).describe('Pods that take jobs.').optional(),
    selector: z.string().max(253).describe('Label selector of the pods, for /scale.').optional(),
  })
  .describe('Written by the controller only.')
export type ModelPoolStatus = z.infer<typeof modelPoolStatus>

export type ModelPool = Resource<ModelPoolSpec, ModelPoolStatus>

/** Names of models are unique because their list is a map by name. */
export const modelPoolRules = {
  spec: {
    minUpToMax: {
      rule: 'self.minReplicas <= self.maxReplicas',
      message: 'minReplicas must not be larger than maxReplicas',
      fieldPath: '.minReplicas',
    },
    replicasUpToMax: {
      rule: '!has(self.replicas) || self.replicas <= self.maxReplicas',
      message: 'replicas must not be larger than maxReplicas',
      fieldPath: '.replicas',
    },
  },
  'spec.gpu': {
    migNeedsProfile: {
      rule: `self.sharing != 'Mig' || (has(self.products) && self.products.size() > 0
        && self.products.all(product, product.matches('${migProfile}')))`,
      message:
        'products must name the profile for Mig, such as 1g.5gb or A100-SXM4-40GB-MIG-1g.5gb',
      fieldPath: '.products',
    },
    migHasOneProfile: {
      rule: `self.sharing != 'Mig' || !has(self.products) || self.products.all(product,
        product.substring(product.lastIndexOf('-') + 1)
        == self.products[0].substring(self.products[0].lastIndexOf('-') + 1))`,
      message: 'products must all be of one profile for Mig: a pod asks for one kind of slice',
      fieldPath: '.products',
    },
    sharedNeedsDevicePlugin: {
      rule: "self.sharing != 'Shared' || self.api != 'DRA'",
      message: 'sharing must not be Shared with DRA, whose claims are not time-sliced here',
      fieldPath: '.sharing',
    },
  },
} as const satisfies RulesByPlace
