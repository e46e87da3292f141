import {
  isSchedulerName,
  type SchedulerName,
  schedulerNames,
} from '../../shared/domain/job-schedulers.ts'
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

const karras = { use_karras_sigmas: true }
const sde = { algorithm_type: 'sde-dpmsolver++' }

/** Every name that a job may give, as diffusers' table of AUTOMATIC1111 names maps it. */
const named: Readonly<Record<SchedulerName, NamedScheduler>> = {
  DDIM: of('DDIMScheduler'),
  DDPM: of('DDPMScheduler'),
  'DPM++ 2M': of('DPMSolverMultistepScheduler'),
  'DPM++ 2M Karras': of('DPMSolverMultistepScheduler', karras),
  'DPM++ 2M SDE': of('DPMSolverMultistepScheduler', sde),
  'DPM++ 2M SDE Karras': of('DPMSolverMultistepScheduler', { ...sde, ...karras }),
  'DPM++ SDE': of('DPMSolverSinglestepScheduler'),
  'DPM++ SDE Karras': of('DPMSolverSinglestepScheduler', karras),
  DPM2: of('KDPM2DiscreteScheduler'),
  'DPM2 Karras': of('KDPM2DiscreteScheduler', karras),
  'DPM2 a': of('KDPM2AncestralDiscreteScheduler'),
  'DPM2 a Karras': of('KDPM2AncestralDiscreteScheduler', karras),
  Euler: of('EulerDiscreteScheduler'),
  'Euler a': of('EulerAncestralDiscreteScheduler'),
  Heun: of('HeunDiscreteScheduler'),
  LCM: of('LCMScheduler'),
  LMS: of('LMSDiscreteScheduler'),
  'LMS Karras': of('LMSDiscreteScheduler', karras),
  PNDM: of('PNDMScheduler'),
  TCD: of('TCDScheduler'),
  UniPC: of('UniPCMultistepScheduler'),
}

function of(className: string, override: SchedulerConfig = {}): NamedScheduler {
  return { className, override }
}

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
  if (!isSchedulerName(name)) throw unknownScheduler(name)
  return named[name]
}

function unknownScheduler(name: string): AppError {
  const message = `unknown scheduler “${name}”; known are ${schedulerNames.join(', ')}`
  return new AppError('inference.unsupported', message, {
    fields: [{ path: 'scheduler', message }],
  })
}
