import { InferenceSession, Tensor } from 'onnxruntime-node'
import { readFile } from 'node:fs/promises'
import { readManifest } from '../../src/inference/models/manifest.ts'
import { openPackFiles } from '../../src/inference/models/pack-files.ts'
import {
  closeStableDiffusion,
  openStableDiffusion,
} from '../../src/inference/pipelines/stable-diffusion.ts'
import { textToImage } from '../../src/inference/pipelines/text-to-image.ts'
import { cpuBudget } from '../../src/inference/runtime/cpu-budget.ts'
import { sessionOptions } from '../../src/inference/runtime/session-options.ts'

/** Prints, as JSON, the times of UNet passes and whole pictures in one process. */
const folder = 'models/demo'
const passes = 100
const pictures = 5

const pack = await readManifest(folder)
const files = await openPackFiles(folder, pack.manifest.files)
const model = await openStableDiffusion(files, cpuBudget())
const latents = new Float32Array(4 * 16 * 16).fill(0.5)
const states = new Float32Array(77 * 96).fill(0.1)

const bare = await InferenceSession.create(
  await readFile(`${folder}/unet/model.onnx`),
  sessionOptions({ threads: cpuBudget(), folder: `${folder}/unet`, sizeBytes: 0 }),
)
const bareFeeds = {
  sample: new Tensor('float32', latents, [1, 4, 16, 16]),
  timestep: new Tensor('float32', new Float32Array([500]), []),
  encoder_hidden_states: new Tensor('float32', states, [1, 77, 96]),
}
const feeds = {
  sample: { data: latents, shape: [1, 4, 16, 16] },
  timestep: { data: [500], shape: [] },
  encoder_hidden_states: { data: states, shape: [1, 77, 96] },
}

const unetMs: number[] = []
const bareMs: number[] = []
// Alternating, so that both meet the same noise of the machine.
for (let index = 0; index < passes; index += 1) {
  unetMs.push(await timeOf(async () => await model.unet.run(feeds)))
  bareMs.push(await timeOf(async () => await bare.run(bareFeeds)))
}
const request = {
  prompt: 'a photo of a scratch on metal',
  negativePrompt: '',
  guidanceScale: 3,
  width: 64,
  height: 64,
  steps: 20,
  seed: 1,
  scheduler: 'DPM++ 2M Karras',
  images: 1,
}
const events = { onStage: () => {}, onStep: () => {}, onPicture: () => {} }
const control = { signal: new AbortController().signal, events }
const pictureMs: number[] = []
for (let index = 0; index < pictures; index += 1) {
  pictureMs.push(await timeOf(async () => await textToImage(model, request, control)))
}
await closeStableDiffusion(model)
await bare.release()
process.stdout.write(JSON.stringify({ unetMs, bareMs, pictureMs }))

async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}
