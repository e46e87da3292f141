import type { Method } from './make-scheduler.ts'
import { levelOfAlpha, predictionTypes } from './prediction.ts'
import type { SchedulerConfig } from './scheduler.ts'
import { readSettings, requireSetting, requireWhole, unsupported } from './settings.ts'
import { trainStepsMax } from './spacing.ts'

const defaults = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
  rescale_betas_zero_snr: false,
}

/** The range of Stable Diffusion, which some methods have for their default. */
export const latentBetas = { beta_start: 0.00085, beta_end: 0.012 }

/**
 * What a method makes of `rescale_betas_zero_snr`: not known to it; a last timestep of pure
 * noise; or one so near to it that σ stays finite.
 */
export type ZeroSnr = 'Ignored' | 'Exact' | 'Nearly'

/**
 * The training noise: alphas_cumprod by timestep, with the float32 roundings torch makes, so that
 * everything derived from it agrees to float32 precision (torch's cumprod accumulates in double).
 */
export function readAlphas(config: SchedulerConfig, zeroSnr: ZeroSnr): readonly number[] {
  const settings = readSettings(defaults, config)
  requireWhole('num_train_timesteps', settings.num_train_timesteps, { min: 2, max: trainStepsMax })
  const betas = readBetas(settings, config)
  const rescales = settings.rescale_betas_zero_snr && zeroSnr !== 'Ignored'
  const alphas = cumulate(rescales ? rescaleToZeroSnr(betas) : betas)
  if (rescales && zeroSnr === 'Nearly') alphas[alphas.length - 1] = 2 ** -24
  const isNoise = betas.every((beta) => beta >= 0 && beta < 1)
  if (!isNoise || (zeroSnr !== 'Exact' && alphas.includes(0))) {
    throw unsupported('beta_end', settings.beta_end, 'makes no noise schedule')
  }
  return alphas
}

/** σ = √((1 − ᾱ) / ᾱ) in float32: the level of a variance-exploding sample, by timestep. */
export function sigmasOf(alphas: readonly number[]): readonly number[] {
  return alphas.map((alpha) => Math.fround(Math.sqrt(Math.fround(Math.fround(1 - alpha) / alpha))))
}

/**
 * The parts that every method on alphas gives to its maker.
 * @throws AppError inference.unsupported where a timestep has no noise level to work with.
 */
export function alphaNoising(plan: {
  readonly alphas: readonly number[]
  readonly timesteps: readonly number[]
  /** The prediction type. */
  readonly type: string
}): Pick<Method, 'timesteps' | 'sigmas' | 'levelAt'> {
  const { alphas, timesteps, type } = plan
  requireSetting({ prediction_type: type }, { key: 'prediction_type', among: predictionTypes })
  const beyond = timesteps.find((timestep) => alphas[timestep] === undefined)
  if (beyond !== undefined) {
    throw unsupported('steps_offset', beyond, 'leads to a timestep that training never had')
  }
  if (type === 'epsilon' && timesteps.some((timestep) => alphas[timestep] === 0)) {
    throw unsupported('prediction_type', type, 'finds no picture in the pure noise of zero SNR')
  }
  return { timesteps, sigmas: null, levelAt: (index) => levelOfAlpha(alphas[timesteps[index]]) }
}

function cumulate(betas: readonly number[]): number[] {
  let product = 1
  return betas.map((beta) => {
    product *= Math.fround(1 - beta)
    return Math.fround(product)
  })
}

/** Lin et al. 2023 (arXiv 2305.08891), algorithm 1: shifts √ᾱ to end at 0 and keeps its first. */
function rescaleToZeroSnr(betas: readonly number[]): readonly number[] {
  const roots = cumulate(betas).map((alpha) => Math.fround(Math.sqrt(alpha)))
  const [first, last] = [roots[0], roots[roots.length - 1]]
  const stretch = Math.fround(first / Math.fround(first - last))
  const alphas = roots.map((root) => {
    const moved = Math.fround(Math.fround(root - last) * stretch)
    return Math.fround(moved * moved)
  })
  return alphas.map((alpha, i) =>
    Math.fround(1 - (i === 0 ? alpha : Math.fround(alpha / alphas[i - 1]))),
  )
}

function readBetas(settings: typeof defaults, config: SchedulerConfig): readonly number[] {
  const count = settings.num_train_timesteps
  const trained = config['trained_betas'] ?? undefined
  if (trained !== undefined) return readTrainedBetas(trained, count)
  const { beta_start: start, beta_end: end } = settings
  switch (settings.beta_schedule) {
    case 'linear':
      return torchLinspace(start, end, count)
    case 'scaled_linear':
      return torchLinspace(Math.sqrt(start), Math.sqrt(end), count).map((root) =>
        Math.fround(root * root),
      )
    case 'squaredcos_cap_v2':
      return cosineBetas(count)
    default:
      throw unsupported('beta_schedule', settings.beta_schedule)
  }
}

function readTrainedBetas(trained: unknown, count: number): readonly number[] {
  if (!Array.isArray(trained) || trained.length !== count) {
    throw unsupported('trained_betas', typeof trained, `must be an array of ${count} numbers`)
  }
  return trained.map((beta) => Math.fround(Number(beta)))
}

/** torch.linspace in float32 runs from both ends to the middle. */
function torchLinspace(first: number, last: number, count: number): number[] {
  const [start, end] = [Math.fround(first), Math.fround(last)]
  const step = Math.fround(Math.fround(end - start) / (count - 1))
  return Array.from({ length: count }, (_, i) =>
    i < Math.floor(count / 2)
      ? Math.fround(start + step * i)
      : Math.fround(end - step * (count - i - 1)),
  )
}

/** Nichol and Dhariwal 2021, equation 17, capped at 0.999. */
function cosineBetas(count: number): number[] {
  return Array.from({ length: count }, (_, i) =>
    Math.fround(Math.min(1 - cosineBar((i + 1) / count) / cosineBar(i / count), 0.999)),
  )
}

function cosineBar(t: number): number {
  return Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2
}
