import path from 'node:path'
import process from 'node:process'
import { afterEach, describe, expect, test } from 'vitest'
import { readManifest } from '../../../src/inference/models/manifest.ts'
import { Runner, type RunnerOptions } from '../../../src/inference/runner/parent.ts'
import type { GeneratedImage, GenerateRequest } from '../../../src/inference/runner/protocol.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const folder = path.resolve(import.meta.dirname, '../../../models/demo')
const request: GenerateRequest = {
  prompt: 'a photo of a hole on wood',
  negativePrompt: '',
  width: 64,
  height: 64,
  steps: 3,
  guidanceScale: 3,
  seed: 11,
  scheduler: 'Euler',
  images: 1,
  model: { name: 'demo' },
}
const patient = { graceMs: 60_000 }

const runners: Runner[] = []
afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()))
})

async function openRunner(options: RunnerOptions = {}): Promise<Runner> {
  const runner = new Runner(options)
  runners.push(runner)
  const { manifest } = await readManifest(folder)
  await runner.load({ folder, files: manifest.files, threads: 1 })
  return runner
}

type Seen = { readonly images: GeneratedImage[]; readonly steps: number[] }

async function generate(
  runner: Runner,
  change: Partial<GenerateRequest> & { readonly onStep?: (stepsDone: number) => void } = {},
): Promise<Seen & { readonly outcome: string }> {
  const { onStep, ...rest } = change
  const seen: Seen = { images: [], steps: [] }
  const outcome = await runner.generate(
    { ...request, ...rest },
    {
      onProgress: ({ stage, stepsDone }) => {
        if (stage !== 'Denoising') return
        seen.steps.push(stepsDone)
        onStep?.(stepsDone)
      },
      onImage: (image) => seen.images.push(image),
    },
  )
  return { ...seen, outcome }
}

const bytesOf = ({ images }: Seen) => images.map(({ png }) => Buffer.from(png).toString('base64'))

describe('a runner', { timeout: 60_000 }, () => {
  test('makes the same bytes for the same seed', async () => {
    const runner = await openRunner()
    const first = await generate(runner)
    const second = await generate(runner)
    const other = await generate(runner, { seed: 12 })
    expect(bytesOf(second)).toEqual(bytesOf(first))
    expect(bytesOf(other)).not.toEqual(bytesOf(first))
  })

  test('makes each picture of a job as if it had been asked for alone', async () => {
    const runner = await openRunner()
    const together = await generate(runner, { images: 3 })
    const alone = await generate(runner, { seed: 13 })
    expect(together.images.map(({ seed }) => seed)).toEqual([11, 12, 13])
    expect(bytesOf(together)[2]).toBe(bytesOf(alone)[0])
  })

  test('counts every step of every picture', async () => {
    const runner = await openRunner()
    const { steps } = await generate(runner, { images: 2 })
    expect(steps).toEqual([0, 1, 2, 3, 3, 4, 5, 6])
  })

  test('ends a job early after a cancel', async () => {
    const runner = await openRunner()
    const onStep = (step: number) => step === 10 && runner.cancel(patient)
    const { outcome, steps, images } = await generate(runner, { steps: 100, images: 50, onStep })
    expect(outcome).toBe('Cancelled')
    expect(images).toEqual([])
    expect(steps.at(-1)).toBeLessThan(5_000)
  })

  test('runs the next job after a cancelled one', async () => {
    const runner = await openRunner()
    await generate(runner, { steps: 100, onStep: () => runner.cancel(patient) })
    expect((await generate(runner)).outcome).toBe('Completed')
  })

  test('is Cancelled when the child had to be killed', async () => {
    const runner = await openRunner()
    const onStep = () => runner.cancel({ graceMs: 0 })
    const { outcome } = await generate(runner, { steps: 100, images: 50, onStep })
    expect(outcome).toBe('Cancelled')
  })

  test('names the death of its child, and the next job works', async () => {
    const runner = await openRunner()
    const dying = generate(runner, {
      steps: 100,
      images: 50,
      onStep: (step) => step === 1 && process.kill(runner.pid ?? 0, 'SIGKILL'),
    })
    const error = await dying.catch((caught: unknown) => caught)
    expect(isAppError(error, 'inference.runner_failed')).toBe(true)
    expect(String(error)).toContain('signal SIGKILL')
    expect((await generate(runner)).outcome).toBe('Completed')
  })

  test('ends a child that is silent for too long', async () => {
    const runner = await openRunner({ silenceMs: 1 })
    const error = await generate(runner, { steps: 100 }).catch((caught: unknown) => caught)
    expect(isAppError(error, 'inference.runner_failed')).toBe(true)
    expect(String(error)).toContain('was silent for 1 ms')
  })

  test('passes on the named error of a request', async () => {
    const runner = await openRunner()
    const error = await generate(runner, { scheduler: 'nope' }).catch((caught: unknown) => caught)
    expect(isAppError(error, 'inference.unsupported')).toBe(true)
    expect((await generate(runner)).outcome).toBe('Completed')
  })

  test('passes on the named error of a model that is not there', async () => {
    const runner = new Runner()
    runners.push(runner)
    const loading = runner.load({ folder: '/nowhere', threads: 1 })
    await expect(loading).rejects.toMatchObject({ code: 'model.pack_invalid' })
  })
})
