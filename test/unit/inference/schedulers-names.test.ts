import { describe, expect, test } from 'vitest'
import { findSchedulerClass } from '../../../src/inference/schedulers/registry.ts'
import {
  findSchedulerName,
  isSchedulerName,
  modelCalls,
  type SchedulerName,
  schedulerNames,
  schedulers,
} from '../../../src/shared/domain/job-schedulers.ts'
import { latents, makeNamed } from './scheduler-runs.ts'

describe('the table of schedulers', () => {
  test('has the 22 names of the product, each once', () => {
    expect(schedulerNames).toHaveLength(22)
    expect(new Set(schedulerNames).size).toBe(22)
    expect(schedulerNames).toContain('FlowMatchEuler')
  })

  test('names classes that are implemented', () => {
    for (const { className } of schedulers) expect(findSchedulerClass(className)).toBeDefined()
  })

  test.each(schedulers)('tells of $name whether it evaluates twice', (entry) => {
    expect(makeNamed(entry.name, 10).order).toBe(entry.secondOrder ? 2 : 1)
  })

  test.each(schedulers)('tells of $name whether it draws noise', ({ name, stochastic }) => {
    const scheduler = makeNamed(name, 10)
    const { original, noise } = latents
    let draws = 0
    const drawNoise = () => {
      draws += 1
      return noise
    }
    for (let index = 0; index < scheduler.timesteps.length; index++) {
      scheduler.step({ modelOutput: noise, sample: original, index, drawNoise, eta: 0 })
    }
    expect(draws > 0).toBe(stochastic)
  })
})

describe('findSchedulerName', () => {
  test.each<readonly [string, SchedulerName]>([
    ['Euler a', 'Euler a'],
    ['EULER A', 'Euler a'],
    ['k_euler_a', 'Euler a'],
    ['euler_ancestral', 'Euler a'],
    ['EulerAncestralDiscreteScheduler', 'Euler a'],
    ['euler', 'Euler'],
    ['DPM++ 2M Karras', 'DPM++ 2M Karras'],
    ['dpm++ 2m karras', 'DPM++ 2M Karras'],
    ['dpmpp_2m_karras', 'DPM++ 2M Karras'],
    ['k_dpmpp_2m_ka', 'DPM++ 2M Karras'],
    ['dpmpp_2m', 'DPM++ 2M'],
    ['DPMSolverMultistepScheduler', 'DPM++ 2M'],
    ['dpmpp_2m_sde', 'DPM++ 2M SDE'],
    ['dpmpp_sde', 'DPM++ SDE'],
    ['dpm_2', 'DPM2'],
    ['DPM2 a Karras', 'DPM2 a Karras'],
    ['PLMS', 'PNDM'],
    ['uni_pc', 'UniPC'],
    ['UniPCMultistepScheduler', 'UniPC'],
    ['flowmatcheulerdiscretescheduler', 'FlowMatchEuler'],
  ])('reads %s as %s', (text, name) => {
    expect(findSchedulerName(text)).toBe(name)
  })

  test.each(['', ' ', '++', 'DPM fast', 'Euler b', 'toString', 'constructor', 'Schéduler'])(
    'knows nothing by “%s”',
    (text) => {
      expect(findSchedulerName(text)).toBeUndefined()
    },
  )

  test('reads every alias, in any case and with other separators', () => {
    for (const { name, aliases } of schedulers) {
      for (const word of [name, ...aliases]) {
        expect(findSchedulerName(word)).toBe(name)
        expect(findSchedulerName(` ${word.toUpperCase().replaceAll(' ', '-')} `)).toBe(name)
      }
    }
  })

  test('reads the class of every entry that adds no settings', () => {
    for (const { name, className, settings } of schedulers) {
      if (Object.keys(settings).length > 0) continue
      expect(findSchedulerName(className)).toBe(name)
    }
  })

  test('knows more words than the names themselves', () => {
    expect(isSchedulerName('Euler a')).toBe(true)
    expect(isSchedulerName('k_euler_a')).toBe(false)
  })
})

describe('modelCalls', () => {
  const strengths = [undefined, 1, 0.99, 0.8, 0.75, 0.6, 0.5, 1 / 3, 0.3, 0.1, 0.05]

  test.each(schedulerNames)('counts what %s evaluates, by steps and strength', (scheduler) => {
    const stepsMax = scheduler === 'LCM' || scheduler === 'TCD' ? 50 : 100
    for (let steps = 1; steps <= stepsMax; steps++) {
      const { timesteps, order } = makeNamed(scheduler, steps)
      for (const strength of strengths) {
        const kept = Math.min(Math.trunc(steps * (strength ?? 1)), steps)
        if (kept === 0) continue
        const evaluated = timesteps.slice((steps - kept) * order).length
        const calls = modelCalls({ scheduler, steps, ...(strength !== undefined && { strength }) })
        expect([steps, strength, calls]).toEqual([steps, strength, evaluated])
      }
    }
  })

  test('is nothing where no step is left', () => {
    for (const scheduler of schedulerNames) {
      expect(modelCalls({ scheduler, steps: 20, strength: 0.04 })).toBe(0)
      expect(modelCalls({ scheduler, steps: 20, strength: 0 })).toBe(0)
    }
  })
})
