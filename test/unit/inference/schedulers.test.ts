import { describe, expect, test } from 'vitest'
import { isAppError } from '../../../src/shared/errors.ts'
import { chooseScheduler } from '../../../src/inference/schedulers/registry.ts'
import { type SchedulerName, schedulerNames } from '../../../src/shared/domain/job-schedulers.ts'
import { bare, latents, makeNamed, modelConfig, run } from './scheduler-runs.ts'

function errorOf(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  return undefined
}

/** Distilled models know 50 timesteps; more steps than that are refused. */
const undistilled = schedulerNames.filter((name) => name !== 'LCM' && name !== 'TCD')

describe('chooseScheduler', () => {
  test.each(schedulerNames)('makes %s begin at its noisiest timestep', (name) => {
    const { timesteps } = makeNamed(name, 20)
    expect(timesteps.length).toBeGreaterThanOrEqual(20)
    expect(Math.max(...timesteps)).toBe(timesteps[0])
  })

  test('takes the model’s own without a name', () => {
    const { create, config } = chooseScheduler(undefined, modelConfig)
    expect(create(config, 4).timesteps).toEqual([751, 501, 251, 1])
  })

  test('hands the model’s settings on, so that a stated spacing wins over the default', () => {
    const stated = makeNamed('Euler', 4, { timestep_spacing: 'leading' })
    expect(stated.timesteps).toEqual([751, 501, 251, 1])
    expect(makeNamed('Euler', 4).timesteps).toEqual([999, 666, 333, 0])
  })

  test('puts what the name says in place of the model’s setting', () => {
    const karras = makeNamed('DPM++ 2M Karras', 8, { use_karras_sigmas: false })
    expect(karras.sigmas).toEqual(makeNamed('DPM++ 2M', 8, { use_karras_sigmas: true }).sigmas)
    expect(karras.sigmas).not.toEqual(makeNamed('DPM++ 2M', 8).sigmas)
  })

  test('leaves out settings that a class does not know', () => {
    const strange = { use_karras_sigmas: true, final_sigmas_type: 'sigma_min', thresholding: true }
    expect(makeNamed('Euler a', 8, strange).sigmas).toEqual(makeNamed('Euler a', 8).sigmas)
    expect(makeNamed('Heun', 8, { final_sigmas_type: 'sigma_min' }).sigmas?.at(-1)).toBe(0)
  })

  test('refuses unknown names and classes and says which are known', () => {
    for (const action of [
      () => chooseScheduler('toString', modelConfig),
      () => chooseScheduler('', modelConfig),
      () => chooseScheduler(undefined, { _class_name: 'DEISMultistepScheduler' }),
      () => chooseScheduler(undefined, {}),
    ]) {
      const error = errorOf(action)
      expect(isAppError(error, 'inference.unsupported')).toBe(true)
      expect(String(error)).toContain('DPM++ 2M Karras')
    }
  })

  test.each<readonly [SchedulerName, object, string]>([
    ['Euler', { beta_schedule: 'sigmoid' }, 'beta_schedule'],
    ['Euler', { timestep_spacing: 'random' }, 'timestep_spacing'],
    ['Euler', { interpolation_type: 'cubic' }, 'interpolation_type'],
    ['Euler', { timestep_type: 'whole' }, 'timestep_type'],
    ['Euler', { prediction_type: 'flow_prediction' }, 'prediction_type'],
    ['Euler', { use_karras_sigmas: true, use_beta_sigmas: true }, 'use_beta_sigmas'],
    ['Euler', { sigma_min: -1, use_karras_sigmas: true }, 'sigma_min'],
    ['Euler', { trained_betas: [0.1] }, 'trained_betas'],
    ['Euler', { trained_betas: '0.1' }, 'trained_betas'],
    ['Euler', { num_train_timesteps: 5 }, 'num_train_timesteps'],
    ['Euler', { num_train_timesteps: 1e9 }, 'num_train_timesteps'],
    ['Euler', { beta_end: 2, beta_schedule: 'linear' }, 'beta_end'],
    ['Euler', { beta_end: 0.9, beta_schedule: 'linear' }, 'beta_end'],
    ['DDIM', { beta_start: -0.1, beta_schedule: 'linear' }, 'beta_end'],
    ['DDIM', { steps_offset: 'one' }, 'steps_offset'],
    ['DDIM', { steps_offset: -1 }, 'steps_offset'],
    ['DDIM', { steps_offset: 200 }, 'steps_offset'],
    ['DDIM', { rescale_betas_zero_snr: true, timestep_spacing: 'trailing' }, 'zero SNR'],
    ['DDPM', { variance_type: 'learned_range' }, 'variance_type'],
    ['PNDM', { prediction_type: 'sample' }, 'prediction_type'],
    ['LCM', { original_inference_steps: 8 }, 'original_inference_steps'],
    ['DPM++ 2M', { variance_type: 'learned' }, 'variance_type'],
    ['DPM++ 2M', { solver_order: 4 }, 'solver_order'],
    ['DPM++ 2M', { solver_type: 'rk4' }, 'solver_type'],
    ['DPM++ 2M', { algorithm_type: 'dpmsolver' }, 'final_sigmas_type'],
    ['DPM++ 2M', { lambda_min_clipped: 'low' }, 'lambda_min_clipped'],
    ['DPM++ 2M Karras', { use_flow_sigmas: true }, 'use_karras_sigmas'],
    ['DPM++ SDE', { algorithm_type: 'sde-dpmsolver' }, 'algorithm_type'],
    ['UniPC', { shift_terminal: 0.1 }, 'shift_terminal'],
    ['UniPC', { solver_p: {} }, 'solver_p'],
    ['UniPC', { predict_x0: false }, 'final_sigmas_type'],
    ['FlowMatchEuler', { use_dynamic_shifting: true }, 'use_dynamic_shifting'],
  ])('refuses for %s a setting it cannot follow: %j', (name, change, key) => {
    const error = errorOf(() => makeNamed(name, 10, change))
    expect(isAppError(error, 'inference.unsupported')).toBe(true)
    expect(String(error)).toContain(key)
  })

  test('refuses Runge-Kutta steps and distilled models that have too few timesteps', () => {
    expect(String(errorOf(() => makeNamed('PNDM', 3, { skip_prk_steps: false })))).toContain(
      'skip_prk_steps',
    )
    for (const name of ['LCM', 'TCD'] as const) {
      expect(String(errorOf(() => makeNamed(name, 51)))).toContain('original_inference_steps')
      expect(makeNamed(name, 50).timesteps).toHaveLength(50)
    }
  })
})

describe('LCM', () => {
  // set_timesteps(steps, strength=…) of diffusers, which its own image-to-image calls.
  test.each([
    [4, 0.5, [499, 379, 259, 139]],
    [3, 0.33, [319, 219, 119]],
    [7, 0.7, [699, 599, 499, 399, 299, 199, 99]],
  ])('runs all of %d steps over the part of the schedule that strength %d leaves', (...plan) => {
    const [steps, strength, timesteps] = plan
    expect(makeNamed('LCM', steps, { strength }).timesteps).toEqual(timesteps)
  })
})

describe('a scheduler', () => {
  // PNDM has no such prediction, and flow matching none of these settings.
  test.each(schedulerNames.filter((name) => name !== 'PNDM' && name !== 'FlowMatchEuler'))(
    '%s ends on the picture that the model believes in',
    (name) => {
      const scheduler = makeNamed(name, 30, { prediction_type: 'sample' })
      const { original, noise } = latents
      const start = scheduler.addNoise({ original, noise, index: 0 })
      const sample = run(scheduler, start, { model: () => original })
      const worst = Math.max(...sample.map((value, i) => Math.abs(value - original[i])))
      // What is left is the last noise level where a schedule does not end at zero.
      expect(worst).toBeLessThan(0.05)
    },
  )

  test.each(schedulerNames)('%s stays finite in one step and in many', (name) => {
    for (const steps of [1, 2, 3, name === 'LCM' || name === 'TCD' ? 50 : 100]) {
      const scheduler = makeNamed(name, steps)
      const end = run(scheduler, bare(scheduler))
      expect(end.every(Number.isFinite)).toBe(true)
      expect(scheduler.timesteps.every((timestep) => timestep >= 0)).toBe(true)
    }
  })

  test('makes as many steps as asked where float division would add a timestep of −1', () => {
    for (const name of undistilled) {
      const { timesteps } = makeNamed(name, 61, { timestep_spacing: 'trailing' })
      expect(Math.min(...timesteps)).toBeGreaterThanOrEqual(0)
    }
    expect(makeNamed('Euler', 61, { timestep_spacing: 'trailing' }).timesteps).toHaveLength(61)
  })

  test.each(schedulerNames)('%s refuses a step after the end, twice, or out of order', (name) => {
    const scheduler = makeNamed(name, 4)
    const { original, noise } = latents
    const step = (index: number) =>
      scheduler.step({ modelOutput: noise, sample: original, index, drawNoise: () => noise })
    const end = scheduler.timesteps.length
    expect(() => step(end)).toThrow(`step ${end} is after the end: the schedule has ${end} eval`)
    step(0)
    expect(() => step(0)).toThrow('step 0 is out of order: next is 1')
    expect(() => step(2)).toThrow('step 2 is out of order: next is 1')
    for (let index = 1; index < end; index++) step(index)
    expect(() => step(end)).toThrow('is after the end')
  })
})
