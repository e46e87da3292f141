import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { isAppError } from '../shared/errors.ts'
import { parameters } from '../shared/crd/generation-job.ts'
import { type ReadManifest, readManifest } from './models/manifest.ts'
import { parseRequest } from './pod/parse-request.ts'
import { readTextToImage } from './pod/read-request.ts'
import { startProgressBar } from './progress-bar.ts'
import { Runner } from './runner/parent.ts'
import { cpuBudget } from './runtime/cpu-budget.ts'

const help = `Makes a picture without a cluster.

  node src/inference/cli.ts --model models/demo --prompt "a scratch on metal" --output a.png

  --model FOLDER      model folder with atelier-model.json       (required)
  --prompt TEXT       what to make                               (required)
  --output FILE       PNG to write; later pictures get -2, -3, … (required)
  --negative TEXT     what to avoid
  --steps N  --guidance N  --scheduler NAME  --width N  --height N    (the model's defaults)
  --seed N            same seed, same picture                    (random)
  --images N          how many                                   (1)
`

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    prompt: { type: 'string' },
    output: { type: 'string' },
    negative: { type: 'string' },
    steps: { type: 'string' },
    guidance: { type: 'string' },
    scheduler: { type: 'string' },
    width: { type: 'string' },
    height: { type: 'string' },
    seed: { type: 'string' },
    images: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})

function readRequest(pack: ReadManifest) {
  const given = {
    prompt: values.prompt,
    negativePrompt: values.negative,
    steps: numberOf(values.steps),
    guidanceScale: numberOf(values.guidance),
    scheduler: values.scheduler,
    width: numberOf(values.width),
    height: numberOf(values.height),
    seed: numberOf(values.seed) ?? randomInt(2 ** 32),
    batchCount: numberOf(values.images),
  }
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const checked = parseRequest(parameters, { ...pack.manifest.defaults, ...set })
  return readTextToImage({ task: 'TextToImage', parameters: checked }, pack.manifest)
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

async function makePictures(model: string, output: string): Promise<void> {
  const runner = new Runner()
  try {
    const pack = await readManifest(model)
    const request = {
      ...readRequest(pack),
      model: { name: pack.manifest.name, digest: pack.digest },
    }
    await runner.load({ folder: model, files: pack.manifest.files, threads: cpuBudget() })
    process.once('SIGINT', () => runner.cancel({ graceMs: 10_000 }))
    const bar = startProgressBar(process.stderr, request.steps * request.images)
    const written: Promise<void>[] = []
    const outcome = await runner.generate(request, {
      onProgress: (progress) => bar.update(progress.stepsDone),
      onImage: (image) => written.push(writeFile(nameOf(output, image.index), image.png)),
    })
    bar.end()
    await Promise.all(written)
    process.stdout.write(`${outcome}: ${written.length} of ${request.images}, ${output}\n`)
    process.exitCode = outcome === 'Completed' ? 0 : 10
  } finally {
    await runner.close()
  }
}

function nameOf(output: string, index: number): string {
  if (index === 0) return output
  return output.replace(/(\.[a-z]+)?$/i, `-${index + 1}$1`)
}

const { model, output, prompt } = values
if (values.help === true || model === undefined || output === undefined || prompt === undefined) {
  process.stdout.write(help)
  process.exitCode = values.help === true ? 0 : 2
} else {
  await makePictures(model, output).catch((error: unknown) => {
    if (!isAppError(error)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = error.code === 'request.invalid' ? 20 : 1
  })
}
