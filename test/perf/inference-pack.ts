import path from 'node:path'
import process from 'node:process'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { openComponent } from '../../src/inference/models/components.ts'
import { readGraphFile } from '../../src/inference/models/graph-file.ts'
import { readManifest } from '../../src/inference/models/manifest.ts'
import { openPackFiles } from '../../src/inference/models/pack-files.ts'
import { generateImages } from '../../src/inference/pipelines/generate-images.ts'
import { closeModel, openModel } from '../../src/inference/pipelines/model.ts'
import { TorchGenerator } from '../../src/inference/random/torch-generator.ts'
import type { Component } from '../../src/inference/runtime/component.ts'
import { cpuBudget } from '../../src/inference/runtime/cpu-budget.ts'
import { sessionOptions } from '../../src/inference/runtime/session-options.ts'
import { chooseScheduler } from '../../src/inference/schedulers/registry.ts'
import type { PackTimes } from './pack-times.ts'

/**
 * Times one pack in a process of its own and prints them as JSON:
 * `node test/perf/inference-pack.ts FOLDER SIDE STEPS PASSES PICTURES`
 */
const [folder = '', ...numbers] = process.argv.slice(2)
const [side, steps, passes, pictures] = numbers.map(Number)
const threads = cpuBudget()
const request = {
  task: 'TextToImage' as const,
  prompt: 'a photo of a scratch on metal',
  negativePrompt: '',
  guidanceScale: 3,
  width: side,
  height: side,
  steps,
  seed: 1,
  scheduler: 'DPM++ 2M Karras',
  images: 1,
  promptSyntax: 'Plain' as const,
  promptOverflow: 'Chunk' as const,
  loras: [],
}

const { manifest } = await readManifest(folder)
const files = await openPackFiles(folder, manifest.files, { mappedDigests: 'Apart' })
// The first session also loads the library itself, so a small one goes before.
await (await openComponent(files, 'text_encoder', { threads })).dispose()
const emptyBytes = process.memoryUsage.rss()
const session = await timed(() => openComponent(files, 'unet', { threads }))
const sessionBytes = process.memoryUsage.rss()
await session.value.dispose()

const opened = await timed(() => openModel(files, { threads }))
const modelBytes = process.memoryUsage.rss()
const model = opened.value
const { latentChannels: channels, latentFactor: factor } = model
const shape = [1, channels, side / factor, side / factor]
const latents = new TorchGenerator(2).randn(shape.reduce((a, b) => a * b, 1))
const control = {
  signal: new AbortController().signal,
  events: { onStage: () => {}, onModelCall: () => {}, onPicture: () => {} },
}
const pictureMs = await timesOf(pictures, () => generateImages(model, request, control))
// Before the second session of the UNet, which would map the weights once more.
const peakBytes = process.resourceUsage().maxRSS * 1024
const steppers = await compareUnet(await model.parts.open('unet'))
const decoder = await model.parts.open('vae_decoder')
const decodeMs = await timesOf(Math.min(passes, 10), () =>
  decoder.run({ [decoder.inputs[0].name]: { data: latents, shape } }),
)
await closeModel(model)
const verified = await timed(() => files.verify('All'))
const times: PackTimes = {
  emptyBytes,
  sessionBytes,
  modelBytes,
  peakBytes,
  sessionMs: session.ms,
  modelMs: opened.ms,
  ...steppers,
  schedulerMs: timeScheduler(),
  decodeMs,
  pictureMs,
  verifyMs: verified.ms,
}
process.stdout.write(JSON.stringify(times))

type Comparison = Pick<PackTimes, 'unetMs' | 'bareMs' | 'unetCpuMs' | 'bareCpuMs'>

/** The same pass through our component and by onnxruntime alone, in turns: same noise for both. */
async function compareUnet(unet: Component): Promise<Comparison> {
  const { graph, sizeBytes } = await readGraphFile(files, 'unet')
  const options = sessionOptions({ threads, folder: path.join(files.folder, 'unet'), sizeBytes })
  const bare = await InferenceSession.create(graph, options)
  const width = Number(unet.inputs.find(({ name }) => name === 'encoder_hidden_states')?.shape[2])
  const states = new TorchGenerator(3).randn(77 * width)
  const feeds = {
    sample: { data: latents, shape },
    timestep: { data: [500], shape: [] },
    encoder_hidden_states: { data: states, shape: [1, 77, width] },
  }
  const bareFeeds = {
    sample: new Tensor('float32', latents, shape),
    timestep: new Tensor('float32', new Float32Array([500]), []),
    encoder_hidden_states: new Tensor('float32', states, [1, 77, width]),
  }
  await unet.run(feeds)
  await bare.run(bareFeeds)
  const ours: Spent[] = []
  const theirs: Spent[] = []
  for (let index = 0; index < passes; index += 1) {
    // Either goes first as often as the other: the caches favour the second.
    if (index % 2 === 0) ours.push(await spent(() => unet.run(feeds)))
    theirs.push(await spent(() => bare.run(bareFeeds)))
    if (index % 2 === 1) ours.push(await spent(() => unet.run(feeds)))
  }
  await bare.release()
  return {
    unetMs: ours.map(({ ms }) => ms),
    bareMs: theirs.map(({ ms }) => ms),
    unetCpuMs: ours.map(({ cpuMs }) => cpuMs),
    bareCpuMs: theirs.map(({ cpuMs }) => cpuMs),
  }
}

type Spent = { readonly ms: number; readonly cpuMs: number }

/** Time on the clock, and of all threads on the processor: the second knows no other programs. */
async function spent(work: () => Promise<unknown>): Promise<Spent> {
  const before = process.cpuUsage()
  const { ms } = await timed(work)
  const { user, system } = process.cpuUsage(before)
  return { ms, cpuMs: (user + system) / 1000 }
}

/** One step of the scheduler, both guidance passes being there already. */
function timeScheduler(): readonly number[] {
  const { create, config } = chooseScheduler(request.scheduler, model.settings.scheduler)
  const scheduler = create(config, steps)
  const drawNoise = () => new TorchGenerator(4).randn(latents.length)
  const stepMs: number[] = []
  let sample = latents
  for (let index = 0; index < scheduler.timesteps.length; index += 1) {
    const startedMs = performance.now()
    scheduler.scaleModelInput(sample, index)
    sample = scheduler.step({ modelOutput: latents, sample, index, drawNoise })
    stepMs.push(performance.now() - startedMs)
  }
  return stepMs
}

async function timesOf(count: number, work: () => Promise<unknown>): Promise<readonly number[]> {
  const spentMs: number[] = []
  for (let index = 0; index < count; index += 1) spentMs.push((await timed(work)).ms)
  return spentMs
}

async function timed<Value>(work: () => Promise<Value>): Promise<{ ms: number; value: Value }> {
  const startedMs = performance.now()
  const value = await work()
  return { ms: performance.now() - startedMs, value }
}
