import { AppError } from '../../shared/errors.ts'
import { createDdim } from './ddim.ts'
import { createDdpm } from './ddpm.ts'
import { createDpm2, createDpm2Ancestral } from './dpm2.ts'
import { createDpmMultistep } from './dpm-multistep.ts'
import { createDpmSinglestep } from './dpm-singlestep.ts'
import { createEuler } from './euler.ts'
import { createEulerAncestral } from './euler-ancestral.ts'
import { createFlowMatchEuler } from './flow-match-euler.ts'
import { createHeun } from './heun.ts'
import { createLcm } from './lcm.ts'
import { createLms } from './lms.ts'
import { createPndm } from './pndm.ts'
import type { CreateScheduler, SchedulerConfig } from './scheduler.ts'
import { createTcd } from './tcd.ts'
import { createUnipc } from './unipc.ts'

/** Implemented classes by their name in diffusers' settings files. */
const classes: Readonly<Record<string, CreateScheduler>> = {
  DDIMScheduler: createDdim,
  DDPMScheduler: createDdpm,
  DPMSolverMultistepScheduler: createDpmMultistep,
  DPMSolverSinglestepScheduler: createDpmSinglestep,
  EulerAncestralDiscreteScheduler: createEulerAncestral,
  EulerDiscreteScheduler: createEuler,
  FlowMatchEulerDiscreteScheduler: createFlowMatchEuler,
  HeunDiscreteScheduler: createHeun,
  KDPM2AncestralDiscreteScheduler: createDpm2Ancestral,
  KDPM2DiscreteScheduler: createDpm2,
  LCMScheduler: createLcm,
  LMSDiscreteScheduler: createLms,
  PNDMScheduler: createPndm,
  TCDScheduler: createTcd,
  UniPCMultistepScheduler: createUnipc,
}

type NamedScheduler = { readonly className: string; readonly override: SchedulerConfig }

/** Names that users choose from: the web console's and AUTOMATIC1111's words. */
function entry(
  name: string,
  className: string,
  override: SchedulerConfig = {},
): readonly [string, NamedScheduler] {
  return [name, { className, override }]
}

const karras = { use_karras_sigmas: true }
const sde = { algorithm_type: 'sde-dpmsolver++' }

const named = new Map<string, NamedScheduler>([
  entry('DDIM', 'DDIMScheduler'),
  entry('DDPM', 'DDPMScheduler'),
  entry('DPM++ 2M', 'DPMSolverMultistepScheduler'),
  entry('DPM++ 2M Karras', 'DPMSolverMultistepScheduler', karras),
  entry('DPM++ 2M SDE', 'DPMSolverMultistepScheduler', sde),
  entry('DPM++ 2M SDE Karras', 'DPMSolverMultistepScheduler', { ...sde, ...karras }),
  entry('DPM++ SDE', 'DPMSolverSinglestepScheduler'),
  entry('DPM++ SDE Karras', 'DPMSolverSinglestepScheduler', karras),
  entry('DPM2', 'KDPM2DiscreteScheduler'),
  entry('DPM2 Karras', 'KDPM2DiscreteScheduler', karras),
  entry('DPM2 a', 'KDPM2AncestralDiscreteScheduler'),
  entry('DPM2 a Karras', 'KDPM2AncestralDiscreteScheduler', karras),
  entry('Euler', 'EulerDiscreteScheduler'),
  entry('Euler a', 'EulerAncestralDiscreteScheduler'),
  entry('Heun', 'HeunDiscreteScheduler'),
  entry('LCM', 'LCMScheduler'),
  entry('LMS', 'LMSDiscreteScheduler'),
  entry('LMS Karras', 'LMSDiscreteScheduler', karras),
  entry('PNDM', 'PNDMScheduler'),
  entry('TCD', 'TCDScheduler'),
  entry('UniPC', 'UniPCMultistepScheduler'),
])

export const schedulerNames: readonly string[] = [...named.keys()]

/** The maker of a diffusers class, or undefined when it is not implemented. */
export function findSchedulerClass(className: string): CreateScheduler | undefined {
  return Object.hasOwn(classes, className) ? classes[className] : undefined
}

export type ChosenScheduler = {
  readonly create: CreateScheduler
  readonly config: SchedulerConfig
}

/**
 * Chooses a scheduler by name and hands the model's settings on to it, as diffusers'
 * `X.from_config(pipe.scheduler.config, **override)`. Without a name it is the model's own.
 */
export function chooseScheduler(
  name: string | undefined,
  modelConfig: SchedulerConfig,
): ChosenScheduler {
  const choice = name === undefined ? ownScheduler(modelConfig) : findNamed(name)
  const create = findSchedulerClass(choice.className)
  if (create === undefined) throw unknownScheduler(choice.className)
  return { create, config: { ...modelConfig, ...choice.override } }
}

function ownScheduler(config: SchedulerConfig): NamedScheduler {
  return { className: String(config['_class_name']), override: {} }
}

function findNamed(name: string): NamedScheduler {
  const found = named.get(name)
  if (found === undefined) throw unknownScheduler(name)
  return found
}

function unknownScheduler(name: string): AppError {
  const message = `unknown scheduler “${name}”; known are ${schedulerNames.join(', ')}`
  return new AppError('inference.unsupported', message, {
    fields: [{ path: 'scheduler', message }],
  })
}
