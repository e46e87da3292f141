import { assert } from '../../shared/assert.ts'
import { combine, toFloat32, type Values } from './arrays.ts'
import type { Level } from './prediction.ts'
import type { Scheduler, SchedulerState, StepInput } from './scheduler.ts'

/** What a step makes; memory that it does not name stays as it is. */
export type Stepped = {
  readonly sample: Float64Array
  readonly history?: readonly Values[]
  readonly start?: Float32Array | null
}

/** A method as pure functions of what it remembers. */
export type Method = {
  readonly timesteps: readonly number[]
  readonly sigmas: readonly number[] | null
  readonly initNoiseSigma?: number
  readonly order?: number
  /** How much picture and noise a sample has before the step of that index. */
  readonly levelAt: (index: number) => Level
  /** What the model's input is multiplied by; absent: it takes the sample as it is. */
  readonly inputScaleAt?: (index: number) => number
  readonly step: (input: StepInput, memory: SchedulerState) => Stepped
}

const nothing: SchedulerState = { count: 0, next: null, history: [], start: null }

/** Gives a method its memory. Everything that may change in a run is in that one value. */
export function makeScheduler(method: Method): Scheduler {
  const { timesteps, sigmas, levelAt, inputScaleAt, initNoiseSigma = 1, order = 1 } = method
  assert(timesteps.length > 0, 'a schedule has steps')
  let memory = nothing

  return {
    timesteps,
    sigmas,
    initNoiseSigma,
    order,
    scaleModelInput: (sample, index) =>
      inputScaleAt === undefined ? sample : toFloat32(combine([[inputScaleAt(index), sample]])),
    step: (input) => {
      checkIndex(input.index, { next: memory.next, end: timesteps.length })
      const { sample, ...rest } = method.step(input, memory)
      memory = { ...memory, ...rest, count: memory.count + 1, next: input.index + 1 }
      return toFloat32(sample)
    },
    addNoise: ({ original, noise, index }) => {
      const { alpha, sigma } = levelAt(index)
      return toFloat32(
        combine([
          [alpha, original],
          [sigma, noise],
        ]),
      )
    },
    save: () => memory,
    restore: (state) => {
      const { next } = state
      assert(next === null || next <= timesteps.length, 'the saved run has as many steps as this')
      memory = state
    },
  }
}

function checkIndex(
  index: number,
  { next, end }: { readonly next: number | null; readonly end: number },
): void {
  assert(index < end, `step ${index} is after the end: the schedule has ${end} evaluations`)
  assert(index === (next ?? index) && index >= 0, `step ${index} is out of order: next is ${next}`)
}
