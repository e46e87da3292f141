import path from 'node:path'
import { readFileSync } from 'node:fs'
import { decode as decodePng } from 'fast-png'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import { decodeLatents, type Picture } from '../../../src/inference/pipelines/decode.ts'
import { denoise } from '../../../src/inference/pipelines/denoise.ts'
import { encodePrompt, type PromptEmbeds } from '../../../src/inference/pipelines/encode-prompt.ts'
import {
  closeStableDiffusion,
  openStableDiffusion,
  type StableDiffusion,
} from '../../../src/inference/pipelines/stable-diffusion.ts'
import {
  drawLatents,
  makeScheduler,
  seedOfImage,
} from '../../../src/inference/pipelines/text-to-image.ts'
import { TorchGenerator } from '../../../src/inference/random/torch-generator.ts'
import { cpuBudget } from '../../../src/inference/runtime/cpu-budget.ts'
import { type CaseResult, type Check, relativeError } from '../measure.ts'
import { type Golden, readGolden, sizeOf, type TensorRef } from '../read.ts'
import { caseOf } from '../case.ts'

type EmbedsRef = {
  readonly prompt_embeds: TensorRef
  readonly negative_prompt_embeds: TensorRef | null
}
type PipelineCase = {
  readonly name: string
  readonly model: string
  readonly pipeline: string
  readonly prompt: string
  readonly negative_prompt?: string
  readonly height: number
  readonly width: number
  readonly steps: number
  readonly guidance_scale: number
  readonly seed: number
  readonly images?: number
  readonly scheduler?: string
  readonly lora?: unknown
  readonly timesteps?: readonly number[]
  readonly embeds: EmbedsRef
  readonly initial_latents: TensorRef
  readonly step_latents: TensorRef
  readonly final_latents: TensorRef
  readonly png: readonly string[]
}
type Index = { readonly cases: readonly PipelineCase[] }
type Subject = {
  readonly folder: string
  readonly set: Golden<Index>
  readonly item: PipelineCase
  readonly model: StableDiffusion
}

const tolerance = 1e-4

export async function comparePipelines(folder: string): Promise<readonly CaseResult[]> {
  return compareCases(folder, (item) => item.lora === undefined)
}

export async function compareLoras(folder: string): Promise<readonly CaseResult[]> {
  return compareCases(folder, (item) => item.lora !== undefined)
}

async function compareCases(
  folder: string,
  isMember: (item: PipelineCase) => boolean,
): Promise<readonly CaseResult[]> {
  const set = readGolden<Index>(folder, 'pipelines')
  const results: CaseResult[] = []
  for (const item of (set?.index.cases ?? []).filter(isMember)) {
    results.push(await caseOf(item.name, () => compareCase({ folder, set: set!, item })))
  }
  return results
}

async function compareCase(
  subject: Omit<Subject, 'model'>,
): Promise<readonly Check[] | { readonly skipped: string }> {
  const { item } = subject
  if (item.lora !== undefined) return { skipped: 'LoRA is not implemented' }
  if (item.pipeline !== 'txt2img')
    return { skipped: `pipeline ${item.pipeline} is not implemented` }
  const files = await openPackFiles(path.join(subject.folder, 'models', item.model))
  const model = await openStableDiffusion(files, cpuBudget())
  try {
    return await compareTextToImage({ ...subject, model })
  } finally {
    await closeStableDiffusion(model)
  }
}

async function compareTextToImage(subject: Subject): Promise<readonly Check[]> {
  const { item, model } = subject
  // First of all, so that an unknown scheduler is skipped before anything runs.
  makeScheduler(model, item)
  const embeds = await encodePrompt(model, {
    prompt: item.prompt,
    negativePrompt: item.negative_prompt ?? '',
    guidanceScale: item.guidance_scale,
  })
  const checks = [...compareEmbeds(subject, embeds)]
  for (let image = 0; image < (item.images ?? 1); image++) {
    checks.push(...(await comparePicture(subject, { image, embeds })))
  }
  return checks
}

function compareEmbeds({ set, item }: Subject, embeds: PromptEmbeds): readonly Check[] {
  const pairs = [
    [embeds.prompt, item.embeds.prompt_embeds],
    [embeds.negative, item.embeds.negative_prompt_embeds],
  ] as const
  return pairs.map(([actual, ref]) => ({
    what: 'embeds',
    error: relativeError(actual?.data ?? [], ref ? set.tensor(ref) : []),
    tolerance,
  }))
}

async function comparePicture(
  { folder, set, item, model }: Subject,
  { image, embeds }: { readonly image: number; readonly embeds: PromptEmbeds },
): Promise<readonly Check[]> {
  const scheduler = makeScheduler(model, item)
  const generator = new TorchGenerator(seedOfImage(item.seed, image))
  const latents = drawLatents(model, { ...item, scheduler, generator })
  const images = item.images ?? 1
  const ofImage = (ref: TensorRef) => {
    const size = sizeOf(ref.shape) / images
    return set.tensor(ref).subarray(image * size, (image + 1) * size)
  }
  const expectedSteps = set.tensor(item.step_latents)
  const [stride, size] = [latents.data.length * images, latents.data.length]
  let worstStep = 0
  const final = await denoise(model.unet, {
    embeds,
    scheduler,
    generator,
    latents,
    guidanceScale: item.guidance_scale,
    signal: new AbortController().signal,
    onEvaluation: ({ index, latents: actual }) => {
      const at = index * stride + image * size
      const error = relativeError(actual, expectedSteps.subarray(at, at + size))
      worstStep = Math.max(worstStep, error)
    },
  })
  const picture = await decodeLatents(model, { data: final, shape: latents.shape })
  return [
    {
      what: 'initial latents',
      error: relativeError(latents.data, ofImage(item.initial_latents)),
      tolerance,
    },
    { what: 'step latents', error: worstStep, tolerance },
    { what: 'final latents', error: relativeError(final, ofImage(item.final_latents)), tolerance },
    ...comparePng(picture, path.join(folder, item.png[image])),
  ]
}

/** Channel values may differ by 1, and at most 0.5 % of them. */
function comparePng(picture: Picture, file: string): readonly Check[] {
  const expected = decodePng(readFileSync(file))
  const differences = Array.from(picture.pixels, (value, i) => Math.abs(value - expected.data[i]))
  const differing = differences.filter((difference) => difference !== 0).length
  return [
    { what: 'png levels', error: differences.reduce((a, b) => Math.max(a, b), 0), tolerance: 1 },
    { what: 'png values differing', error: differing / differences.length, tolerance: 0.005 },
  ]
}
