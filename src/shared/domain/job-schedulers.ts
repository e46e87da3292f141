/** Settings of a scheduler file that a name puts in place of the model's. */
type Settings = Readonly<Record<string, string | boolean>>

type Entry = {
  readonly name: string
  /** The class in diffusers, whose name is accepted as well. */
  readonly className: string
  readonly settings: Settings
  /** Other words for it: AUTOMATIC1111's, ComfyUI's, InvokeAI's. Case and spaces do not matter. */
  readonly aliases: readonly string[]
  /** Asks the model twice for every step but the last. */
  readonly secondOrder: boolean
  /** Draws fresh noise while it steps, so that two seeds differ by more than their first noise. */
  readonly stochastic: boolean
}

const plain = { settings: {}, secondOrder: false, stochastic: false } as const
const karras = { use_karras_sigmas: true } as const
const sde = { algorithm_type: 'sde-dpmsolver++' } as const

/**
 * Every scheduler that a job may name, mapped to classes as diffusers' table of AUTOMATIC1111
 * names maps them (docs/api/schedulers/overview). "DPM++ SDE" is therefore the deterministic
 * single-step solver; AUTOMATIC1111's own draws noise from a Brownian tree, which nothing here
 * does. "FlowMatchEuler" only makes sense with a model trained by flow matching. TCD and DDIM draw
 * nothing because pipelines run them with eta 0.
 */
export const schedulers = [
  { ...plain, name: 'DDIM', className: 'DDIMScheduler', aliases: [] },
  { ...plain, name: 'DDPM', className: 'DDPMScheduler', aliases: [], stochastic: true },
  {
    ...plain,
    name: 'DPM++ 2M',
    className: 'DPMSolverMultistepScheduler',
    aliases: ['k_dpmpp_2m', 'DPM-Solver++'],
  },
  {
    ...plain,
    name: 'DPM++ 2M Karras',
    className: 'DPMSolverMultistepScheduler',
    settings: karras,
    aliases: ['dpmpp_2m_k', 'k_dpmpp_2m_ka', 'k_dpmpp_2m_karras'],
  },
  {
    ...plain,
    name: 'DPM++ 2M SDE',
    className: 'DPMSolverMultistepScheduler',
    settings: sde,
    aliases: ['k_dpmpp_2m_sde', 'dpmpp_2m_sde_gpu'],
    stochastic: true,
  },
  {
    ...plain,
    name: 'DPM++ 2M SDE Karras',
    className: 'DPMSolverMultistepScheduler',
    settings: { ...sde, ...karras },
    aliases: ['dpmpp_2m_sde_k', 'k_dpmpp_2m_sde_ka', 'k_dpmpp_2m_sde_karras'],
    stochastic: true,
  },
  {
    ...plain,
    name: 'DPM++ SDE',
    className: 'DPMSolverSinglestepScheduler',
    aliases: ['k_dpmpp_sde', 'dpmpp_sde_gpu'],
  },
  {
    ...plain,
    name: 'DPM++ SDE Karras',
    className: 'DPMSolverSinglestepScheduler',
    settings: karras,
    aliases: ['dpmpp_sde_k', 'k_dpmpp_sde_ka', 'k_dpmpp_sde_karras'],
  },
  {
    ...plain,
    name: 'DPM2',
    className: 'KDPM2DiscreteScheduler',
    aliases: ['k_dpm_2', 'kdpm_2'],
    secondOrder: true,
  },
  {
    ...plain,
    name: 'DPM2 Karras',
    className: 'KDPM2DiscreteScheduler',
    settings: karras,
    aliases: ['k_dpm_2_ka', 'kdpm_2_k', 'k_dpm_2_karras'],
    secondOrder: true,
  },
  {
    ...plain,
    name: 'DPM2 a',
    className: 'KDPM2AncestralDiscreteScheduler',
    aliases: ['k_dpm_2_a', 'kdpm_2_a', 'dpm_2_ancestral', 'k_dpm_2_ancestral'],
    secondOrder: true,
    stochastic: true,
  },
  {
    ...plain,
    name: 'DPM2 a Karras',
    className: 'KDPM2AncestralDiscreteScheduler',
    settings: karras,
    aliases: ['k_dpm_2_a_ka', 'kdpm_2_a_k', 'dpm_2_ancestral_karras', 'k_dpm_2_a_karras'],
    secondOrder: true,
    stochastic: true,
  },
  { ...plain, name: 'Euler', className: 'EulerDiscreteScheduler', aliases: ['k_euler'] },
  {
    ...plain,
    name: 'Euler a',
    className: 'EulerAncestralDiscreteScheduler',
    aliases: ['k_euler_a', 'euler_ancestral', 'k_euler_ancestral'],
    stochastic: true,
  },
  {
    ...plain,
    name: 'FlowMatchEuler',
    className: 'FlowMatchEulerDiscreteScheduler',
    aliases: ['flow_match', 'FlowMatchEulerDiscrete'],
  },
  {
    ...plain,
    name: 'Heun',
    className: 'HeunDiscreteScheduler',
    aliases: ['k_heun'],
    secondOrder: true,
  },
  { ...plain, name: 'LCM', className: 'LCMScheduler', aliases: [], stochastic: true },
  { ...plain, name: 'LMS', className: 'LMSDiscreteScheduler', aliases: ['k_lms'] },
  {
    ...plain,
    name: 'LMS Karras',
    className: 'LMSDiscreteScheduler',
    settings: karras,
    aliases: ['lms_k', 'k_lms_ka', 'k_lms_karras'],
  },
  { ...plain, name: 'PNDM', className: 'PNDMScheduler', aliases: ['PLMS'] },
  { ...plain, name: 'TCD', className: 'TCDScheduler', aliases: [] },
  {
    ...plain,
    name: 'UniPC',
    className: 'UniPCMultistepScheduler',
    aliases: ['uni_pc', 'uni_pc_bh2', 'UniPCMultistep'],
  },
] as const satisfies readonly Entry[]

export type SchedulerName = (typeof schedulers)[number]['name']

export const schedulerNames: readonly SchedulerName[] = schedulers.map(({ name }) => name)

export function isSchedulerName(name: string): name is SchedulerName {
  return schedulerNames.some((known) => known === name)
}

/** The scheduler that a word means: its name, an alias or its class in diffusers, in any case. */
export function findSchedulerName(text: string): SchedulerName | undefined {
  const word = simplify(text)
  return schedulers.find((scheduler) => wordsOf(scheduler).includes(word))?.name
}

function wordsOf({ name, className, settings, aliases }: Entry): readonly string[] {
  // A class without further settings is the name that has none.
  const ownClass = Object.keys(settings).length === 0 ? [className] : []
  return [name, ...ownClass, ...aliases].map(simplify)
}

/** "DPM++ 2M", "dpmpp_2m" and "DPMPP 2m" are one word. */
function simplify(text: string): string {
  return text
    .toLowerCase()
    .replaceAll('++', 'pp')
    .replaceAll(/[^a-z0-9]/g, '')
}

/**
 * How often a picture asks the model, the two passes of guidance counted once. Image-to-image and
 * inpainting give `strength` (0..1) and leave out the first steps, as diffusers' `get_timesteps`.
 * It holds for the settings of Stable Diffusion's models: PNDM with Runge-Kutta steps
 * (`skip_prk_steps` false) makes 8 more, and image-to-image of latent consistency models leaves
 * out none.
 */
export function modelCalls(run: {
  readonly scheduler: SchedulerName
  readonly steps: number
  readonly strength?: number
}): number {
  const { scheduler, steps, strength = 1 } = run
  const left = Math.min(Math.trunc(steps * strength), steps)
  if (left < 1) return 0
  if (scheduler === 'PNDM') return steps === 1 ? 1 : left + 1
  const entry = schedulers.find(({ name }) => name === scheduler)
  return entry?.secondOrder === true ? 2 * left - 1 : left
}
