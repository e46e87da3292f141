import path from 'node:path'
import { openPackFiles } from '../../../src/inference/models/pack-files.ts'
import { makeConditions } from '../../../src/inference/pipelines/conditions.ts'
import { decodeLatents } from '../../../src/inference/pipelines/decode.ts'
import { denoise } from '../../../src/inference/pipelines/denoise.ts'
import { makeSchedule, type Schedule } from '../../../src/inference/pipelines/schedule.ts'
import { seedOfImage } from '../../../src/inference/pipelines/generate-images.ts'
import {
  closeModel,
  type DiffusionModel,
  openModel,
} from '../../../src/inference/pipelines/model.ts'
import {
  type Draw,
  drawInputs,
  drawNoise,
  type Plan,
  planRun,
} from '../../../src/inference/pipelines/plan.ts'
import { type Job, prepareJob } from '../../../src/inference/pipelines/prepare-job.ts'
import type { Picture } from '../../../src/inference/images/picture.ts'
import { TorchGenerator } from '../../../src/inference/random/torch-generator.ts'
import { cpuBudget } from '../../../src/inference/runtime/cpu-budget.ts'
import { findSchedulerName } from '../../../src/shared/domain/job-schedulers.ts'
import type { ImageRequest } from '../../../src/inference/pipelines/request.ts'
import { caseOf } from '../case.ts'
import { type CaseResult, type Check, relativeError } from '../measure.ts'
import { modelFolder } from '../model-folder.ts'
import { type Golden, readGolden, sizeOf, type TensorRef } from '../read.ts'
import {
  type EmbedsName,
  lorasOf,
  type PipelineCase,
  readPng,
  requestOf,
  type Tolerance,
} from './pipeline-case.ts'

type Index = { readonly cases: readonly PipelineCase[] }
type Subject = {
  readonly folder: string
  readonly set: Golden<Index>
  readonly item: PipelineCase
  readonly tolerance: Tolerance
  readonly job: Job
}

const usualTolerance: Tolerance = { embeds: 1e-4, latents: 1e-4, png_levels: 1, png_share: 0.005 }

export async function comparePipelines(folder: string): Promise<readonly CaseResult[]> {
  return compareCases(folder, (item) => lorasOf(item).length === 0)
}

export async function compareLoras(folder: string): Promise<readonly CaseResult[]> {
  return compareCases(folder, (item) => lorasOf(item).length > 0)
}

async function compareCases(
  folder: string,
  isMember: (item: PipelineCase) => boolean,
): Promise<readonly CaseResult[]> {
  const set = readGolden<Index>(folder, 'pipelines')
  const results: CaseResult[] = []
  const open = new Map<string, DiffusionModel>()
  for (const item of (set?.index.cases ?? []).filter(isMember)) {
    results.push(await caseOf(item.name, () => compareCase({ folder, set: set!, item, open })))
  }
  for (const model of open.values()) await closeModel(model)
  return results
}

type Files = Pick<Subject, 'folder' | 'set' | 'item'> & {
  /** Opening a model takes longer than a case, so cases of one model share it. */
  readonly open: Map<string, DiffusionModel>
}

async function compareCase({ folder, set, item, open }: Files): Promise<readonly Check[]> {
  const files = await openPackFiles(modelFolder(folder, item.model))
  const model = open.get(item.model) ?? (await openModel(files, { threads: cpuBudget() }))
  open.set(item.model, model)
  const job = await prepareJob(...askedOf(item, { folder, model }))
  const tolerance = { ...usualTolerance, ...item.tolerance }
  return await comparePictures({ folder, set, item, tolerance, job })
}

/** The scheduler by the name a job would give; a name that is none of ours by what it made. */
function askedOf(
  item: PipelineCase,
  { folder, model }: { readonly folder: string; readonly model: DiffusionModel },
): [DiffusionModel, ImageRequest] {
  const request = requestOf(item, folder)
  const { scheduler: name, ...unnamed } = request
  if (name === undefined || findSchedulerName(name) !== undefined) return [model, request]
  const scheduler = { ...item.scheduler_config, _class_name: item.scheduler_class }
  return [{ ...model, settings: { ...model.settings, scheduler } }, unnamed]
}

async function comparePictures(subject: Subject): Promise<readonly Check[]> {
  const { item, job } = subject
  const checks = [...compareEmbeds(subject)]
  let first: Draw | undefined
  for (let image = 0; image < job.request.images; image++) {
    const generator = new TorchGenerator(seedOfImage(item.seed, image))
    const draw = drawAsDiffusers(job, { generator, first })
    first ??= draw
    const schedule = makeSchedule(job.model, job.request)
    const plan = planRun(job, { ...schedule, draws: [draw] })
    const run = { ...schedule, image, plan, generators: [generator] }
    checks.push(...comparePlan(subject, run), ...(await compareRun(subject, run)))
  }
  return checks
}

type Run = Schedule & {
  readonly image: number
  readonly plan: Plan
  readonly generators: readonly TorchGenerator[]
}

/**
 * For several pictures diffusers draws the latents of an inpainting's inputs once, from the first
 * generator; our jobs draw them for each picture, as if it was asked for alone.
 */
function drawAsDiffusers(
  job: Job,
  { generator, first }: { readonly generator: TorchGenerator; readonly first: Draw | undefined },
): Draw {
  if (job.request.task !== 'Inpaint' || first === undefined) return drawInputs(job, generator)
  return { ...first, noise: drawNoise(job, generator) }
}

function compareEmbeds({ set, item, job, tolerance }: Subject): readonly Check[] {
  const { prompt, negative } = job.embeds
  const actual: Readonly<Record<EmbedsName, Float32Array | undefined>> = {
    prompt_embeds: prompt.states.data,
    negative_prompt_embeds: negative?.states.data,
    pooled_prompt_embeds: prompt.pooled?.data,
    negative_pooled_prompt_embeds: negative?.pooled?.data,
  }
  // A case may have more embeddings than are listed here; then its comparison must not pass.
  const names = new Set([...Object.keys(actual), ...Object.keys(item.embeds)])
  return [...names].map((name) => {
    // The keys come from both records; what one lacks is compared as empty.
    const ref = item.embeds[name as EmbedsName]
    const values = actual[name as EmbedsName] ?? []
    const error = relativeError(values, ref ? set.tensor(ref) : [])
    return { what: name, error, tolerance: tolerance.embeds }
  })
}

function comparePlan(subject: Subject, { plan, scheduler, image }: Run): readonly Check[] {
  const { item } = subject
  const { extraChannels, kept, latents } = plan
  const size = sizeOf(latents.shape.slice(2))
  const mask = kept?.mask.subarray(0, size) ?? extraChannels?.data.subarray(0, size)
  const masked = extraChannels?.data.subarray(size)
  return [
    {
      what: 'timesteps',
      error: worstTimestep(scheduler.timesteps, item.timesteps),
      tolerance: 1e-2,
    },
    compareTensor(subject, {
      what: 'initial latents',
      actual: latents.data,
      ref: item.initial_latents,
      image,
    }),
    ...optional(mask, item.mask_latents).map(([actual, ref]) =>
      compareTensor(subject, { what: 'mask', actual, ref, image }),
    ),
    ...optional(masked, item.masked_image_latents).map(([actual, ref]) =>
      compareTensor(subject, { what: 'masked image latents', actual, ref, image }),
    ),
  ]
}

function optional<T>(
  actual: T | undefined,
  ref: TensorRef | null | undefined,
): readonly (readonly [T, TensorRef])[] {
  return actual === undefined || !ref ? [] : [[actual, ref]]
}

/** The schedule in whole; a case that lists only what was run is compared from its end. */
function worstTimestep(actual: readonly number[], expected: readonly number[] | undefined): number {
  if (expected === undefined) return 0
  const last = actual.slice(actual.length - expected.length)
  if (last.length !== expected.length) return Infinity
  return Math.max(0, ...expected.map((timestep, i) => Math.abs(last[i] - timestep)))
}

type Compared = {
  readonly what: string
  readonly actual: Float32Array
  readonly ref: TensorRef
  readonly image: number
}

function compareTensor(
  { set, item, tolerance }: Subject,
  { what, actual, ref, image }: Compared,
): Check {
  const whole = set.tensor(ref)
  // Entries of the batch are pictures; what all of them share stands there once.
  const entries = Math.min(ref.shape[0], item.images ?? 1)
  const size = whole.length / entries
  const at = Math.min(image, entries - 1) * size
  return {
    what,
    error: relativeError(actual, whole.subarray(at, at + size)),
    tolerance: tolerance.latents,
  }
}

async function compareRun(subject: Subject, run: Run): Promise<readonly Check[]> {
  const { folder, set, item, job, tolerance } = subject
  const { image, plan } = run
  const size = plan.latents.data.length
  const images = item.step_latents.shape[1]
  const steps = set.tensor(item.step_latents)
  let worstStep = 0
  let calls = 0
  const final = await denoise(job.unet, {
    ...run,
    conditions: makeConditions(job.embeds, job.request, { traits: job.traits, count: 1 }),
    guidanceScale: item.guidance_scale,
    ...(typeof item.eta === 'number' && { eta: item.eta }),
    signal: new AbortController().signal,
    onModelCall: ({ index, latents }) => {
      const at = (index * images + image) * size
      worstStep = Math.max(worstStep, relativeError(latents.data, steps.subarray(at, at + size)))
      calls += 1
    },
  })
  const picture = await decodeLatents(job.model, final)
  return [
    { what: 'model calls', error: Math.abs(calls - item.step_latents.shape[0]), tolerance: 0 },
    { what: 'step latents', error: worstStep, tolerance: tolerance.latents },
    compareTensor(subject, {
      what: 'final latents',
      actual: final.data,
      ref: item.final_latents,
      image,
    }),
    ...comparePng(subject, { picture, file: path.join(folder, item.png[image]) }),
  ]
}

/** Channel values may differ by a level, and few of them. */
function comparePng(
  { tolerance }: Subject,
  { picture, file }: { readonly picture: Picture; readonly file: string },
): readonly Check[] {
  const expected = readPng(file)
  const sameSize = picture.width === expected.width && picture.height === expected.height
  const differences = Array.from(picture.pixels, (v, i) => Math.abs(v - expected.pixels[i]))
  const differing = differences.filter((difference) => difference !== 0).length
  const levels = sameSize ? differences.reduce((a, b) => Math.max(a, b), 0) : Infinity
  return [
    { what: 'png levels', error: levels, tolerance: tolerance.png_levels },
    {
      what: 'png values differing',
      error: differing / differences.length,
      tolerance: tolerance.png_share,
    },
  ]
}
