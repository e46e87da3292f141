import { findSchedulerClass } from '../../../src/inference/schedulers/registry.ts'
import {
  indexOfTimestep,
  type Scheduler,
  type SchedulerConfig,
} from '../../../src/inference/schedulers/scheduler.ts'
import { unreachable } from '../../../src/shared/assert.ts'
import { type CaseResult, type Check, relativeError } from '../measure.ts'
import { type Golden, readGolden, sizeOf, type TensorRef } from '../read.ts'
import { caseOf } from '../case.ts'

type SchedulerCase = {
  readonly name: string
  readonly class: string
  readonly config: SchedulerConfig
  readonly kind: 'txt2img' | 'img2img' | 'add_noise'
  readonly steps: number
  readonly seed: number
  readonly eta?: number | null
  readonly strength?: number
  readonly begin_index?: number
  readonly timesteps?: readonly number[]
  readonly sigmas?: readonly number[] | null
  readonly init_noise_sigma?: number
  readonly order?: number
  readonly original?: TensorRef
  readonly init_noise: TensorRef
  readonly noised?: TensorRef
  readonly at?: readonly number[]
  readonly prev?: TensorRef
  readonly noise?: TensorRef | null
}
type Index = { readonly cases: readonly SchedulerCase[] }
type Set = Golden<Index>

const stepTolerance = 2e-5
const sigmaTolerance = 5e-5

export async function compareSchedulers(folder: string): Promise<readonly CaseResult[]> {
  const set = readGolden<Index>(folder, 'schedulers')
  const results = (set?.index.cases ?? []).map((item, i) =>
    caseOf(`schedulers[${i}] ${item.name} ${item.kind} ${item.steps} steps`, () => {
      const create = findSchedulerClass(item.class)
      if (create === undefined) return { skipped: `scheduler ${item.class} is not implemented` }
      return compareCase({ set: set!, item, scheduler: create(item.config, item.steps) })
    }),
  )
  return Promise.all(results)
}

type Subject = { readonly set: Set; readonly item: SchedulerCase; readonly scheduler: Scheduler }

function compareCase(subject: Subject): readonly Check[] {
  const { kind } = subject.item
  switch (kind) {
    case 'txt2img':
      return [...compareSchedule(subject), ...compareSteps(subject)]
    case 'img2img':
      return [...compareSchedule(subject), ...compareNoised(subject), ...compareSteps(subject)]
    case 'add_noise':
      return compareNoised(subject)
    default:
      return unreachable(kind)
  }
}

function compareSchedule({ item, scheduler }: Subject): readonly Check[] {
  const begin = item.begin_index ?? 0
  const checks = [
    compareTimesteps(scheduler.timesteps.slice(begin), item.timesteps ?? []),
    compareExact('order', scheduler.order, item.order),
    compareExact('init_noise_sigma', scheduler.initNoiseSigma, item.init_noise_sigma),
  ]
  const sigmas = item.sigmas ?? undefined
  if (sigmas === undefined) return checks
  const error = relativeSigmaError(scheduler.sigmas ?? [], sigmas)
  return [...checks, { what: 'sigmas', error, tolerance: sigmaTolerance }]
}

/** Timesteps are exact, or within 1e-2 where the method makes fractional ones. */
function compareTimesteps(actual: readonly number[], expected: readonly number[]): Check {
  const wrong = expected.filter((timestep, i) => {
    const tolerance = Number.isInteger(timestep) ? 0 : 1e-2
    return !(Math.abs(actual[i] - timestep) <= tolerance)
  })
  const count = wrong.length + Math.abs(actual.length - expected.length)
  return { what: 'wrong timesteps', error: count, tolerance: 0 }
}

function compareExact(what: string, actual: number, expected: number | undefined): Check {
  const error = expected === undefined ? 0 : Math.abs(actual - expected) / Math.abs(expected)
  return { what, error, tolerance: sigmaTolerance }
}

function relativeSigmaError(actual: readonly number[], expected: readonly number[]): number {
  if (actual.length !== expected.length) return Infinity
  const errors = expected.map((sigma, i) => Math.abs(actual[i] - sigma) / Math.max(sigma, 1e-12))
  return Math.max(...errors)
}

function compareNoised({ set, item, scheduler }: Subject): readonly Check[] {
  const original = set.tensor(item.original!)
  const noise = set.tensor(item.init_noise)
  const indices = item.at?.map((t) => indexOfTimestep(scheduler.timesteps, t)) ?? [
    item.begin_index ?? 0,
  ]
  const size = original.length
  const expected = set.tensor(item.noised!)
  return indices.map((index, i) => ({
    what: `noised at ${index}`,
    error: relativeError(
      scheduler.addNoise({ original, noise, index }),
      expected.subarray(i * size, (i + 1) * size),
    ),
    tolerance: stepTolerance,
  }))
}

function compareSteps({ set, item, scheduler }: Subject): readonly Check[] {
  const expected = set.tensor(item.prev!)
  const size = sizeOf(item.init_noise.shape)
  const draws = item.noise ? set.tensor(item.noise) : new Float32Array()
  let drawn = 0
  const drawNoise = () => draws.subarray(drawn++ * size, drawn * size)
  const begin = item.begin_index ?? 0
  let sample = firstSample({ set, item, scheduler })
  let worst = 0
  for (let index = begin; index < scheduler.timesteps.length; index++) {
    const scaled = scheduler.scaleModelInput(sample, index)
    const modelOutput = toyModel(scaled, scheduler.timesteps[index])
    const eta = item.eta ?? undefined
    sample = scheduler.step({
      modelOutput,
      sample,
      index,
      drawNoise,
      ...(eta !== undefined && { eta }),
    })
    const at = (index - begin) * size
    worst = Math.max(worst, relativeError(sample, expected.subarray(at, at + size)))
  }
  const wanted = draws.length / size
  return [
    { what: 'steps', error: worst, tolerance: stepTolerance },
    { what: 'noise draws', error: Math.abs(drawn - wanted), tolerance: 0 },
  ]
}

function firstSample({ set, item, scheduler }: Subject): Float32Array {
  if (item.noised !== undefined) return set.tensor(item.noised)
  return set.tensor(item.init_noise).map((value) => value * scheduler.initNoiseSigma)
}

function toyModel(x: Float32Array, timestep: number): Float32Array {
  return x.map((value, i) => value * ((0.8 * timestep) / 1000) + 0.1 * ((i % 7) - 3))
}
