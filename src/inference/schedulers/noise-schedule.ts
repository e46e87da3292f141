import { refuseSettings, readSettings, unsupported } from './settings.ts'
import type { SchedulerConfig } from './scheduler.ts'

const defaults = {
  num_train_timesteps: 1000,
  beta_start: 0.0001,
  beta_end: 0.02,
  beta_schedule: 'linear',
}

/**
 * The training noise: alphas_cumprod by timestep, with the float32 roundings torch makes, so that
 * everything derived from it agrees to float32 precision (torch's cumprod accumulates in double).
 */
export function readAlphas(config: SchedulerConfig): readonly number[] {
  refuseSettings(config, ['rescale_betas_zero_snr', 'thresholding'])
  const alphas: number[] = []
  let product = 1
  for (const beta of readBetas(config)) {
    product *= Math.fround(1 - beta)
    alphas.push(Math.fround(product))
  }
  return alphas
}

/** σ = √((1 − ᾱ) / ᾱ): the noise level of a variance-exploding sample, by timestep. */
export function sigmasOf(alphas: readonly number[]): readonly number[] {
  return alphas.map((alpha) => Math.sqrt((1 - alpha) / alpha))
}

function readBetas(config: SchedulerConfig): readonly number[] {
  const trained = config['trained_betas']
  if (Array.isArray(trained)) return trained.map((beta) => Math.fround(Number(beta)))
  const settings = readSettings(defaults, config)
  const count = settings.num_train_timesteps
  switch (settings.beta_schedule) {
    case 'linear':
      return torchLinspace(settings.beta_start, settings.beta_end, count)
    case 'scaled_linear':
      return torchLinspace(Math.sqrt(settings.beta_start), Math.sqrt(settings.beta_end), count).map(
        (root) => Math.fround(root * root),
      )
    case 'squaredcos_cap_v2':
      return cosineBetas(count)
    default:
      throw unsupported('beta_schedule', settings.beta_schedule)
  }
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
