import type { FieldError } from '../errors.ts'
import {
  type GenerationJobSpec,
  type Input,
  type Owner,
  type Parameters,
  pictureTasks,
  type Task,
} from './generation-job.ts'
import {
  celList,
  immutable,
  immutableOptional,
  type Rule,
  type Rules,
  type RulesByPlace,
} from './rules.ts'
import { type LimitedField, tasksWith } from './task-fields.ts'

/** The part of a spec that is asked for: what a REST request has too. */
export type JobWish = Pick<GenerationJobSpec, 'owner' | 'task' | 'parameters'> & {
  readonly inputs?: readonly Input[] | undefined
}

const promptTasks: readonly Task[] = [...pictureTasks, 'TextTo3D']
const textTasks: readonly Task[] = ['TextToImage', 'TextTo3D']
const maskedTasks: readonly Task[] = ['Inpaint', 'Cleanup']
/** Each reads one picture; a second one of a role would be ignored. */
const singleTasks: readonly Task[] = ['ImageToImage', 'Inpaint']

function countInputs(spec: JobWish, role: Input['role']): number {
  return spec.inputs?.filter((input) => input.role === role).length ?? 0
}

/** A task that does not use a parameter refuses it. */
function onlyFor(field: LimitedField): Rule<JobWish> {
  const tasks = tasksWith(field)
  return {
    rule: `self.task in ${celList(tasks)} || !has(self.parameters.${field})`,
    message: `${field} is for ${tasks.join(', ')} only`,
    fieldPath: `.parameters.${field}`,
    violatedBy: (spec) => !tasks.includes(spec.task) && spec.parameters[field] !== undefined,
  }
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
  taskNeedsPrompt: {
    rule: `!(self.task in ${celList(promptTasks)}) || has(self.parameters.prompt)`,
    message: `${promptTasks.join(', ')} need a prompt`,
    fieldPath: '.parameters.prompt',
    violatedBy: (spec) => promptTasks.includes(spec.task) && spec.parameters.prompt === undefined,
  },
  strengthNeedsItsTask: onlyFor('strength'),
  resizeModeNeedsItsTask: onlyFor('resizeMode'),
  maskBlurNeedsItsTask: onlyFor('maskBlur'),
  inpaintAreaNeedsItsTask: onlyFor('inpaintArea'),
  maskPaddingNeedsItsTask: onlyFor('maskPadding'),
  keepUnmaskedPixelsNeedsItsTask: onlyFor('keepUnmaskedPixels'),
  promptSyntaxNeedsItsTask: onlyFor('promptSyntax'),
  promptOverflowNeedsItsTask: onlyFor('promptOverflow'),
  lorasNeedTheirTask: onlyFor('loras'),
  textTaskTakesNoInputs: {
    rule: `!(self.task in ${celList(textTasks)}) || !has(self.inputs) || self.inputs.size() == 0`,
    message: 'TextToImage and TextTo3D take no inputs',
    fieldPath: '.inputs',
    violatedBy: (spec) => textTasks.includes(spec.task) && (spec.inputs?.length ?? 0) > 0,
  },
  imageTaskNeedsImage: {
    rule: `self.task in ${celList(textTasks)}
      || (has(self.inputs) && self.inputs.exists(i, i.role == 'Image'))`,
    message: 'this task needs an input of role Image',
    fieldPath: '.inputs',
    violatedBy: (spec) => !textTasks.includes(spec.task) && countInputs(spec, 'Image') === 0,
  },
  maskedTaskNeedsMask: {
    rule: `!(self.task in ${celList(maskedTasks)})
      || (has(self.inputs) && self.inputs.exists(i, i.role == 'Mask'))`,
    message: 'Inpaint and Cleanup need an input of role Mask',
    fieldPath: '.inputs',
    violatedBy: (spec) => maskedTasks.includes(spec.task) && countInputs(spec, 'Mask') === 0,
  },
  oneInputOfEachRole: {
    rule: `!(self.task in ${celList(singleTasks)}) || !has(self.inputs)
      || ['Image', 'Mask'].all(role, self.inputs.filter(i, i.role == role).size() <= 1)`,
    message: 'ImageToImage and Inpaint take one input of a role, not several',
    fieldPath: '.inputs',
    violatedBy: (spec) =>
      singleTasks.includes(spec.task) &&
      (countInputs(spec, 'Image') > 1 || countInputs(spec, 'Mask') > 1),
  },
  inputsHaveUse: {
    rule: `!(self.task in ${celList(singleTasks)}) || !has(self.inputs)
      || self.inputs.all(i, i.role == 'Image' || (i.role == 'Mask' && self.task == 'Inpaint'))`,
    message:
      'ImageToImage takes an input of role Image; Inpaint one of role Image, one of role Mask',
    fieldPath: '.inputs',
    violatedBy: (spec) =>
      singleTasks.includes(spec.task) &&
      (countInputs(spec, 'Reference') > 0 ||
        (spec.task !== 'Inpaint' && countInputs(spec, 'Mask') > 0)),
  },
  importsAreOfOwner: {
    rule: `!has(self.inputs) || self.inputs.all(i, !has(i.object)
      || i.object.key.startsWith('imports/' + self.owner.department + '/'))`,
    message: 'object.key must be under imports/<spec.owner.department>/',
    fieldPath: '.inputs',
    violatedBy: ({ inputs, owner }) =>
      inputs?.some(({ object }) => object && !object.key.startsWith(importsOf(owner))) ?? false,
  },
} as const satisfies Rules<JobWish>

const ownerRules = {
  limitsNeedUser: {
    rule: '!has(self.limits) || has(self.user)',
    message: 'limits are those of a user: set user too',
    fieldPath: '.limits',
    violatedBy: (owner) => owner.limits !== undefined && owner.user === undefined,
  },
} as const satisfies Rules<Owner>

const parameterRules = {
  lorasDiffer: {
    rule: `!has(self.loras)
      || self.loras.all(a, self.loras.exists_one(b, b.name == a.name))`,
    message: 'loras must have different names',
    fieldPath: '.loras',
    violatedBy: ({ loras = [] }) => new Set(loras.map(({ name }) => name)).size < loras.length,
  },
} as const satisfies Rules<Parameters>

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
  'spec.parameters': parameterRules,
  'spec.inputs[]': inputRules,
} satisfies RulesByPlace

function importsOf(owner: Owner): string {
  return `imports/${owner.department}/`
}

/**
 * What the API server's rules would refuse in a new spec that has the right shape, in TypeScript,
 * so that the api answers before it accepts. Paths are dotted and relative to the spec.
 */
export function generationJobFaults(spec: JobWish): FieldError[] {
  return [
    ...faults(taskRules, spec, ''),
    ...faults(ownerRules, spec.owner, 'owner'),
    ...faults(parameterRules, spec.parameters, 'parameters'),
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
