import {
  findSchedulerName,
  schedulerNames,
  schedulers,
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

/** The maker of a diffusers class, or undefined when it is not implemented. */
export function findSchedulerClass(className: string): CreateScheduler | undefined {
  return Object.hasOwn(classes, className) ? classes[className] : undefined
}

export type ChosenScheduler = {
  readonly create: CreateScheduler
  readonly config: SchedulerConfig
}

/**
 * Chooses a scheduler by name, alias or diffusers class and hands the model's settings on to it,
 * as diffusers' `X.from_config(pipe.scheduler.config, **override)`: keys that a class does not
 * know change nothing. Without a name it is the model's own.
 * @throws AppError inference.unsupported that lists the known names.
 */
export function chooseScheduler(
  name: string | undefined,
  modelConfig: SchedulerConfig,
): ChosenScheduler {
  if (name === undefined) {
    const className = String(modelConfig['_class_name'])
    return { create: requireClass(className), config: modelConfig }
  }
  const canonical = findSchedulerName(name)
  const entry = schedulers.find((scheduler) => scheduler.name === canonical)
  if (entry === undefined) throw unknownScheduler(name)
  return {
    create: requireClass(entry.className),
    config: { ...modelConfig, ...entry.settings },
  }
}

function requireClass(className: string): CreateScheduler {
  const create = findSchedulerClass(className)
  if (create === undefined) throw unknownScheduler(className)
  return create
}

function unknownScheduler(name: string): AppError {
  const message = `unknown scheduler “${name}”; known are ${schedulerNames.join(', ')}`
  return new AppError('inference.unsupported', message, {
    fields: [{ path: 'scheduler', message }],
  })
}
