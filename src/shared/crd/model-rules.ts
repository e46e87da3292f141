import { pictureTasks } from './generation-job.ts'
import { price } from './model.ts'
import { celList, immutable, type Rule, type RulesByPlace } from './rules.ts'

function memberOfType(type: string, member: string): Rule {
  return {
    rule: `(self.type == '${type}') == has(self.${member})`,
    message: `${member} must be set exactly when type is ${type}`,
    fieldPath: `.${member}`,
  }
}

const minUpToMax: Rule = {
  rule: 'self.min <= self.max',
  message: 'min must not be larger than max',
  fieldPath: '.min',
}

function defaultFits(side: 'width' | 'height'): Rule {
  const [value, range] = [`self.defaults.${side}`, `self.sizes.${side}`]
  return {
    rule: `!has(self.sizes) || !has(self.defaults) || !has(${value}) || (${value} >= ${range}.min
      && ${value} <= ${range}.max && ${value} % ${range}.multipleOf == 0)`,
    message: `defaults.${side} must be one of sizes.${side}`,
    fieldPath: `.defaults.${side}`,
  }
}

const rates = Object.keys(price.shape)

function isFree(rate: string): string {
  return `(!has(self.price.${rate}) || self.price.${rate} == 0)`
}

/**
 * A model is its weights: history and prices refer to it by name, so other weights are another
 * Model. A digest may be added to a Model that had none: it pins what was there.
 */
export const modelRules = {
  spec: {
    typeImmutable: immutable('type'),
    loraHasNoPrice: {
      rule: `self.type != 'Lora' || (${rates.map(isFree).join(' && ')})`,
      message: 'a LoRA has no price of its own: set 0',
      fieldPath: '.price',
    },
    loraHasNoGpus: {
      rule: "self.type != 'Lora' || self.resources.gpus == 0",
      message: 'a LoRA has no GPUs of its own: set 0',
      fieldPath: '.resources.gpus',
    },
    loraHasNoDefaults: {
      rule: "self.type != 'Lora' || !has(self.defaults)",
      message: 'a LoRA has no defaults: those of the base model count',
      fieldPath: '.defaults',
    },
    loraHasNoSizes: {
      rule: "self.type != 'Lora' || !has(self.sizes)",
      message: 'a LoRA has no sizes: those of the base model count',
      fieldPath: '.sizes',
    },
    loraMakesPictures: {
      rule: `self.type != 'Lora' || self.tasks.all(task, task in ${celList(pictureTasks)})`,
      message: `a LoRA is for ${pictureTasks.join(', ')} only`,
      fieldPath: '.tasks',
    },
    deliveryImmutable: immutable('delivery'),
    digestIsFinal: {
      rule: '!has(oldSelf.digest) || (has(self.digest) && self.digest == oldSelf.digest)',
      message: 'digest is immutable once set: other weights are another Model',
      fieldPath: '.digest',
    },
    fetchNeedsDigest: {
      rule: "self.delivery.type != 'Fetch' || has(self.digest)",
      message: 'digest must be given for delivery Fetch: it says what is to be fetched',
      fieldPath: '.digest',
    },
    noGpuNeedsCpu: {
      rule: "self.resources.gpus >= 1 || 'Cpu' in self.runsOn",
      message: 'a model without GPUs must list Cpu in runsOn',
      fieldPath: '.runsOn',
    },
    gpusNeedGpu: {
      rule: "self.resources.gpus == 0 || 'Gpu' in self.runsOn",
      message: 'a model that asks for GPUs must list Gpu in runsOn',
      fieldPath: '.runsOn',
    },
    departmentsGoWithVisibility: {
      rule: `(self.visibility == 'Departments')
        == (has(self.departments) && self.departments.size() > 0)`,
      message: 'departments must be listed exactly when visibility is Departments',
      fieldPath: '.departments',
    },
    defaultWidthFits: defaultFits('width'),
    defaultHeightFits: defaultFits('height'),
  },
  'spec.delivery': {
    embeddedGoesWithType: memberOfType('Embedded', 'embedded'),
    claimGoesWithType: memberOfType('Claim', 'claim'),
    imageGoesWithType: memberOfType('Image', 'image'),
    fetchGoesWithType: memberOfType('Fetch', 'fetch'),
  },
  'spec.price': {
    someRate: {
      rule: rates.map((rate) => `has(self.${rate})`).join(' || '),
      message: 'at least one rate must be given; 0 is free',
    },
  },
  'spec.sizes.width': { minUpToMax },
  'spec.sizes.height': { minUpToMax },
} as const satisfies RulesByPlace
