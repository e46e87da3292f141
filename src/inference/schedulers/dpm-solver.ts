import { combine, type Term, type Values } from './arrays.ts'
import { limitOriginal } from './limit-original.ts'
import { type Level, predictNoise, predictOriginal } from './prediction.ts'
import type { SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting, unsupported } from './settings.ts'
import { type Frame, frameOf, predictionWeights, type SolverForm } from './solver-frame.ts'
import { solverDefaults } from './solver-layout.ts'

const defaults = { ...solverDefaults, algorithm_type: 'dpmsolver++', solver_type: 'midpoint' }

export type DpmSettings = typeof defaults & { readonly form: SolverForm }

/** The equations to solve; `deis` is another class's word, read as diffusers reads it. */
const forms: Readonly<Record<string, SolverForm>> = {
  'dpmsolver++': { predicts: 'Original', noisy: false },
  'sde-dpmsolver++': { predicts: 'Original', noisy: true },
  dpmsolver: { predicts: 'Noise', noisy: false },
  'sde-dpmsolver': { predicts: 'Noise', noisy: true },
  deis: { predicts: 'Original', noisy: false },
}

/** Reads the settings that both DPM-Solver classes share. */
export function readDpmSettings(config: SchedulerConfig): DpmSettings {
  const settings = readSettings(defaults, config)
  const { algorithm_type, prediction_type } = settings
  const { variance_type } = config
  requireSetting(settings, { key: 'algorithm_type', among: Object.keys(forms) })
  // The words of UniPC mean the midpoint method here.
  const solvers = ['midpoint', 'heun', 'logrho', 'bh1', 'bh2']
  requireSetting(settings, { key: 'solver_type', among: solvers })
  if (String(variance_type).startsWith('learned')) throw unsupported('variance_type', variance_type)
  const form = forms[algorithm_type]
  if (form.predicts === 'Noise' && settings.final_sigmas_type === 'zero') {
    throw unsupported(
      'final_sigmas_type',
      'zero',
      `cannot go with algorithm_type=${algorithm_type}`,
    )
  }
  if (form.predicts === 'Noise' && prediction_type === 'flow_prediction') {
    throw unsupported('prediction_type', prediction_type)
  }
  return { ...settings, form }
}

/** What the solver integrates: the predicted picture within its limits, or the noise. */
export function convertOutput(
  settings: DpmSettings,
  { input, level }: { readonly input: StepInput; readonly level: Level },
): Float64Array {
  const prediction = { ...input, type: settings.prediction_type, level }
  if (settings.form.predicts === 'Original') {
    return limitOriginal(settings, predictOriginal(prediction))
  }
  const noise = predictNoise(prediction)
  if (!settings.thresholding) return noise
  const seen = { ...prediction, type: 'epsilon', modelOutput: noise }
  const original = limitOriginal(settings, predictOriginal(seen))
  return predictNoise({ ...prediction, type: 'sample', modelOutput: original })
}

export type Advance = {
  readonly input: StepInput
  /** The sample at the base. */
  readonly start: Float32Array
  /** The target's level, the base's, then those of other points, newest first. */
  readonly levels: readonly Level[]
  /** What was converted at the base and at the other points. */
  readonly outputs: readonly Values[]
  /** Whether the other points lie after the base, within a single step. */
  readonly single: boolean
}

/** One update; its order is the number of outputs. */
export function advance(settings: DpmSettings, step: Advance): Float64Array {
  const { form } = settings
  const frame = frameOf(step.levels, form)
  const isHeun = settings.solver_type === 'heun'
  const differences = differenceWeights(frame, { single: step.single, isHeun, form })
  const weights = predictionWeights(frame, differences)
  const noise: readonly Term[] = form.noisy ? [[frame.noise, step.input.drawNoise()]] : []
  const terms: readonly Term[] = weights.map((weight, i) => [weight, step.outputs[i]])
  return combine([[frame.ratio, step.start], ...terms, ...noise])
}

/**
 * Weights of the differences E = (m − m_base) / node. The papers (arXiv 2206.00927, appendix B;
 * 2211.01095, appendix B) write the third order in D1 and D2, here collected by E.
 */
function differenceWeights(
  { z, factor, nodes }: Frame,
  method: { readonly single: boolean; readonly isHeun: boolean; readonly form: SolverForm },
): readonly number[] {
  if (nodes.length === 0) return []
  const { single, isHeun, form } = method
  const second = -factor * (Math.expm1(z) / z - 1)
  if (nodes.length === 1) return [isHeun ? second : (-factor * Math.expm1(z)) / 2]
  if (single && !isHeun) return [second, 0]
  // The reference's SDE form adds the half that the others take away, and its single step
  // doubles D2.
  const half = form.predicts === 'Original' && form.noisy ? 0.5 : -0.5
  const third = -factor * ((Math.expm1(z) - z) / z ** 2 + half) * (single ? 2 : 1)
  const [newer, older] = nodes
  const gap = newer - older
  return [(third - second * older) / gap, (second * newer - third) / gap]
}
