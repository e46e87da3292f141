import { describe, expect, test } from 'vitest'
import { isAppError } from '../../../src/shared/errors.ts'
import { chooseScheduler } from '../../../src/inference/schedulers/registry.ts'
import type { SchedulerConfig } from '../../../src/inference/schedulers/scheduler.ts'
import { schedulerNames } from '../../../src/shared/domain/job-schedulers.ts'

const modelConfig: SchedulerConfig = {
  _class_name: 'DDIMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  set_alpha_to_one: false,
  clip_sample: false,
  skip_prk_steps: true,
}

function errorOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

describe('chooseScheduler', () => {
  test.each(schedulerNames)('makes %s begin at its noisiest timestep', (name) => {
    const { create, config } = chooseScheduler(name, modelConfig)
    const { timesteps } = create(config, 20)
    expect(timesteps.length).toBeGreaterThanOrEqual(20)
    expect(Math.max(...timesteps)).toBe(timesteps[0])
  })

  test('takes the model’s own without a name', () => {
    const { create, config } = chooseScheduler(undefined, modelConfig)
    expect(create(config, 4).timesteps).toEqual([751, 501, 251, 1])
  })

  test('hands the model’s settings on, so that a stated spacing wins over the default', () => {
    const stated = { ...modelConfig, timestep_spacing: 'leading' }
    const { create, config } = chooseScheduler('Euler', stated)
    expect(create(config, 4).timesteps).toEqual([751, 501, 251, 1])
    const plain = chooseScheduler('Euler', modelConfig)
    expect(plain.create(plain.config, 4).timesteps).toEqual([999, 666, 333, 0])
  })

  test('refuses an unknown name and says which are known', () => {
    const error = errorOf(() => chooseScheduler('toString', modelConfig))
    expect(isAppError(error, 'inference.unsupported')).toBe(true)
    expect(String(error)).toContain('DPM++ 2M Karras')
  })

  test.each([
    ['Euler', { beta_schedule: 'sigmoid' }, 'beta_schedule'],
    ['Euler', { timestep_spacing: 'random' }, 'timestep_spacing'],
    ['Euler', { interpolation_type: 'log_linear' }, 'interpolation_type'],
    ['DDIM', { thresholding: true }, 'thresholding'],
    ['DDIM', { rescale_betas_zero_snr: true }, 'rescale_betas_zero_snr'],
    ['DDIM', { steps_offset: 'one' }, 'steps_offset'],
    ['DPM++ 2M', { algorithm_type: 'dpmsolver' }, 'algorithm_type'],
    ['DPM++ 2M', { use_flow_sigmas: true }, 'use_flow_sigmas'],
    ['DPM++ 2M', { solver_order: 4 }, 'solver_order'],
  ])('refuses for %s a setting it cannot follow: %j', (name, change, key) => {
    const { create, config } = chooseScheduler(name, { ...modelConfig, ...change })
    const error = errorOf(() => create(config, 10))
    expect(isAppError(error, 'inference.unsupported')).toBe(true)
    expect(String(error)).toContain(key)
  })
})

describe('a scheduler', () => {
  // PNDM has no such prediction, and flow matching none of these settings.
  test.each(schedulerNames.filter((name) => name !== 'PNDM'))(
    '%s ends on the picture that the model believes in',
    (name) => {
      const believing = { ...modelConfig, prediction_type: 'sample' }
      const { create, config } = chooseScheduler(name, believing)
      const scheduler = create(config, 30)
      const original = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i))
      const noise = Float32Array.from({ length: 64 }, (_, i) => Math.cos(3 * i))
      let sample = scheduler.addNoise({ original, noise, index: 0 })
      for (let index = 0; index < scheduler.timesteps.length; index++) {
        sample = scheduler.step({
          modelOutput: original,
          sample,
          index,
          drawNoise: () => noise,
        })
      }
      const worst = Math.max(...sample.map((value, i) => Math.abs(value - original[i])))
      // What is left is the last noise level where a schedule does not end at zero.
      expect(worst).toBeLessThan(0.05)
    },
  )
})
