import type { FieldError } from '../errors.ts'
import type { GenerationJobSpec, Input, Owner } from './generation-job.ts'
import { immutable, immutableOptional, type Rule, type Rules, type RulesByPlace } from './rules.ts'

const textTasks: readonly string[] = ['TextToImage', 'TextTo3D']
const maskedTasks: readonly string[] = ['Inpaint', 'Cleanup']
const strengthTasks: readonly string[] = ['ImageToImage', 'Inpaint']

const cel = (words: readonly string[]) => `['${words.join("', '")}']`

function hasInput(spec: GenerationJobSpec, role: Input['role']): boolean {
  return spec.inputs?.some((input) => input.role === role) ?? false
}

/** Accounts are settled from the end of a job, so an end is final for every writer. */
const terminalIsFinal: Rule = {
  rule: `!has(oldSelf.status) || !has(oldSelf.status.conditions)
    || oldSelf.status.conditions.all(o, o.type != 'Succeeded' || o.status == 'Unknown'
    || (has(self.status) && has(self.status.conditions)
    && self.status.conditions.exists(n, n.type == 'Succeeded'
    && n.status == o.status && n.reason == o.reason)))`,
  message: 'the condition Succeeded is final once it is True or False',
  fieldPath: '.status.conditions',
}

const transitionRules = {
  jobIdImmutable: immutableOptional('jobId'),
  ownerImmutable: immutable('owner'),
  taskImmutable: immutable('task'),
  modelRefImmutable: immutable('modelRef'),
  parametersImmutable: immutable('parameters'),
  inputsImmutable: immutableOptional('inputs'),
  executionImmutable: immutable('execution'),
  placementImmutable: immutableOptional('placement'),
  cancelIsFinal: {
    rule: 'self.cancel || !oldSelf.cancel',
    message: 'cancel cannot be taken back',
    fieldPath: '.cancel',
  },
} as const satisfies Rules

const taskRules = {
  textTaskNeedsPrompt: {
    rule: `!(self.task in ${cel(textTasks)}) || has(self.parameters.prompt)`,
    message: 'TextToImage and TextTo3D need a prompt',
    fieldPath: '.parameters.prompt',
    violatedBy: (spec) => textTasks.includes(spec.task) && spec.parameters.prompt === undefined,
  },
  textTaskTakesNoInputs: {
    rule: `!(self.task in ${cel(textTasks)}) || !has(self.inputs) || self.inputs.size() == 0`,
    message: 'TextToImage and TextTo3D take no inputs',
    fieldPath: '.inputs',
    violatedBy: (spec) => textTasks.includes(spec.task) && (spec.inputs?.length ?? 0) > 0,
  },
  strengthNeedsItsTask: {
    rule: `self.task in ${cel(strengthTasks)} || !has(self.parameters.strength)`,
    message: 'strength is for ImageToImage and Inpaint only',
    fieldPath: '.parameters.strength',
    violatedBy: (spec) =>
      !strengthTasks.includes(spec.task) && spec.parameters.strength !== undefined,
  },
  imageTaskNeedsImage: {
    rule: `self.task in ${cel(textTasks)}
      || (has(self.inputs) && self.inputs.exists(i, i.role == 'Image'))`,
    message: 'this task needs an input of role Image',
    fieldPath: '.inputs',
    violatedBy: (spec) => !textTasks.includes(spec.task) && !hasInput(spec, 'Image'),
  },
  maskedTaskNeedsMask: {
    rule: `!(self.task in ${cel(maskedTasks)})
      || (has(self.inputs) && self.inputs.exists(i, i.role == 'Mask'))`,
    message: 'Inpaint and Cleanup need an input of role Mask',
    fieldPath: '.inputs',
    violatedBy: (spec) => maskedTasks.includes(spec.task) && !hasInput(spec, 'Mask'),
  },
  importsAreOfOwner: {
    rule: `!has(self.inputs) || self.inputs.all(i, !has(i.object)
      || i.object.key.startsWith('imports/' + self.owner.department + '/'))`,
    message: 'object.key must be under imports/<spec.owner.department>/',
    fieldPath: '.inputs',
    violatedBy: ({ inputs, owner }) =>
      inputs?.some(({ object }) => object && !object.key.startsWith(importsOf(owner))) ?? false,
  },
} as const satisfies Rules<GenerationJobSpec>

const ownerRules = {
  limitsNeedUser: {
    rule: '!has(self.limits) || has(self.user)',
    message: 'limits are those of a user: set user too',
    fieldPath: '.limits',
    violatedBy: (owner) => owner.limits !== undefined && owner.user === undefined,
  },
} as const satisfies Rules<Owner>

const inputRules = {
  exactlyOneSource: {
    rule: `[has(self.artifact), has(self.object), has(self.configMapRef)]
      .filter(present, present).size() == 1`,
    message: 'exactly one of artifact, object, configMapRef must be set',
    violatedBy: ({ artifact, object, configMapRef }) =>
      [artifact, object, configMapRef].filter((source) => source !== undefined).length !== 1,
  },
} as const satisfies Rules<Input>

export const generationJobRules = {
  '': { terminalIsFinal },
  spec: { ...transitionRules, ...taskRules },
  'spec.owner': ownerRules,
  'spec.inputs[]': inputRules,
} satisfies RulesByPlace

function importsOf(owner: Owner): string {
  return `imports/${owner.department}/`
}

/**
 * What the API server's rules would refuse in a new spec that has the right shape, in TypeScript,
 * so that the api answers before it accepts. Paths are dotted and relative to the spec.
 */
export function generationJobFaults(spec: GenerationJobSpec): FieldError[] {
  return [
    ...faults(taskRules, spec, ''),
    ...faults(ownerRules, spec.owner, 'owner'),
    ...(spec.inputs ?? []).flatMap((input, index) => faults(inputRules, input, `inputs[${index}]`)),
  ]
}

function faults<Self>(rules: Rules<Self>, self: Self, place: string): FieldError[] {
  return Object.values(rules)
    .filter((rule) => rule.violatedBy?.(self))
    .map(({ fieldPath = '', message }) => ({
      path: place === '' ? fieldPath.slice(1) : place + fieldPath,
      message,
    }))
}
