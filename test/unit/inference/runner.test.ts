import { existsSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { decode } from 'fast-png'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { encodePng } from '../../../src/inference/output/png.ts'
import { readManifest } from '../../../src/inference/models/manifest.ts'
import { Runner, type RunnerOptions } from '../../../src/inference/runner/parent.ts'
import type { GeneratedImage, GenerateRequest } from '../../../src/inference/runner/protocol.ts'
import { assert } from '../../../src/shared/assert.ts'
import { AppError, isAppError } from '../../../src/shared/errors.ts'
import { readPngTexts } from '../../support/png-text.ts'

const folder = path.resolve(import.meta.dirname, '../../../models/demo')
const request: GenerateRequest = {
  task: 'TextToImage',
  prompt: 'a photo of a hole on wood',
  negativePrompt: '',
  width: 64,
  height: 64,
  steps: 3,
  guidanceScale: 3,
  seed: 11,
  scheduler: 'Euler',
  images: 1,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
  inputs: [],
  loras: [],
  model: { name: 'demo' },
}
/** Where only the number of steps counts. */
const small = { width: 32, height: 32 }
const patient = { graceMs: 60_000 }

/** Grey steps with a white square in the middle of the mask. */
const picture = encodePng({
  width: 64,
  height: 64,
  pixels: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7) % 256),
})
const mask = encodePng({
  width: 64,
  height: 64,
  pixels: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (isInSquare(i) ? 255 : 0)),
})
function isInSquare(i: number): boolean {
  const [x, y] = [Math.floor(i / 3) % 64, Math.floor(i / 3 / 64)]
  return x >= 16 && x < 48 && y >= 16 && y < 48
}
const inputs = [
  { role: 'Image', field: 'inputs[0]', bytes: picture },
  { role: 'Mask', field: 'inputs[1]', bytes: mask },
] as const

const runners: Runner[] = []
afterEach(async () => {
  await Promise.all(runners.splice(0).map((runner) => runner.close()))
})
/** For jobs that leave their runner as it was: a child takes a second to start. */
let common: Runner
beforeAll(async () => {
  common = await load(new Runner())
})
afterAll(async () => await common.close())

async function openRunner(options: RunnerOptions = {}): Promise<Runner> {
  const runner = new Runner(options)
  runners.push(runner)
  return await load(runner)
}

async function load(runner: Runner): Promise<Runner> {
  const { manifest } = await readManifest(folder)
  await runner.load({ folder, files: manifest.files, threads: 1, provider: 'cpu' })
  return runner
}

type Seen = {
  readonly images: GeneratedImage[]
  readonly steps: number[]
  readonly previews: Uint8Array[]
  readonly restarts: unknown[]
}

async function generate(
  runner: Runner,
  change: Partial<GenerateRequest> & {
    readonly onStep?: (stepsDone: number) => void
    readonly onImage?: () => void
  } = {},
): Promise<Seen & { readonly outcome: string }> {
  const { onStep, onImage, ...rest } = change
  const seen: Seen = { images: [], steps: [], previews: [], restarts: [] }
  const outcome = await runner.generate(
    { ...request, ...rest },
    {
      onProgress: ({ stage, stepsDone }) => {
        if (stage !== 'Denoising') return
        seen.steps.push(stepsDone)
        onStep?.(stepsDone)
      },
      onPreview: (jpeg) => seen.previews.push(jpeg),
      onImage: (image) => {
        seen.images.push(image)
        onImage?.()
      },
      onRestart: (cause) => seen.restarts.push(cause),
    },
  )
  return { ...seen, outcome }
}

const bytesOf = ({ images }: Seen) => images.map(({ png }) => Buffer.from(png).toString('base64'))
const pngsOf = ({ images }: Seen) => images.map(({ png }) => Buffer.from(png))
const killChildOf = (runner: Runner) => process.kill(runner.pid ?? 0, 'SIGKILL')

describe('a runner', { timeout: 60_000 }, () => {
  test('makes the same bytes for the same seed', async () => {
    const first = await generate(common)
    const second = await generate(common)
    const other = await generate(common, { seed: 12 })
    expect(bytesOf(second)).toEqual(bytesOf(first))
    expect(bytesOf(other)).not.toEqual(bytesOf(first))
  })

  test('makes each picture of a job as if it had been asked for alone', async () => {
    const together = await generate(common, { images: 3 })
    const alone = await generate(common, { seed: 13 })
    expect(together.images.map(({ seed }) => seed)).toEqual([11, 12, 13])
    expect(bytesOf(together)[2]).toBe(bytesOf(alone)[0])
  })

  test('leaves the recipe out when it is told so, and changes no pixel', async () => {
    const [told] = pngsOf(await generate(common))
    const [silent] = pngsOf(await generate(common, { embedRecipe: false }))
    assert(told !== undefined && silent !== undefined, 'each made a picture')
    const parameters: unknown = expect.stringContaining(request.prompt)
    expect(readPngTexts(told)).toEqual({ parameters })
    expect(readPngTexts(silent)).toEqual({})
    expect(silent.includes(request.prompt)).toBe(false)
    expect(decode(silent).data).toEqual(decode(told).data)
  })

  test('counts every model call of every picture', async () => {
    const { steps } = await generate(common, { images: 2 })
    expect(steps).toEqual([0, 1, 2, 3, 3, 4, 5, 6])
    const second = await generate(common, { scheduler: 'Heun' })
    expect(second.steps.at(-1)).toBe(5)
  })

  test('sends previews as small JPEG files, not one for each call', async () => {
    const { previews } = await generate(common, { steps: 100 })
    expect(previews.length).toBeGreaterThan(0)
    expect(previews.length).toBeLessThan(50)
    const { format, width, height } = await sharp(previews[0]).metadata()
    expect({ format, square: width === height }).toEqual({ format: 'jpeg', square: true })
    expect(width).toBeLessThanOrEqual(256)
  })

  test('changes a picture only as far as its strength says', async () => {
    const image = inputs.slice(0, 1)
    const change = { task: 'ImageToImage', inputs: image, steps: 10 } as const
    const little = await generate(common, { ...change, strength: 0.2 })
    const much = await generate(common, { ...change, strength: 0.9 })
    expect(little.steps.at(-1)).toBe(2)
    expect(distance(little, picture)).toBeLessThan(distance(much, picture))
  })

  test('repaints under the mask and keeps every other byte on request', async () => {
    const change = { task: 'Inpaint', inputs, keepUnmaskedPixels: true } as const
    const { images } = await generate(common, change)
    const [before, after] = [decode(picture).data, decode(images[0].png).data]
    const changed = Array.from(before.keys()).filter((i) => before[i] !== after[i])
    expect(changed.length).toBeGreaterThan(1000)
    expect(changed.every(isInSquare)).toBe(true)
  })

  test('says what was done to an input', async () => {
    const change = { task: 'ImageToImage', inputs: inputs.slice(0, 1), width: 32, height: 64 }
    const { images } = await generate(common, {
      ...change,
      task: 'ImageToImage',
      resizeMode: 'Fill',
    })
    expect(images[0].inputChanges).toEqual([expect.stringContaining('64x64')])
    const refused = await generate(common, { ...change, task: 'ImageToImage' }).catch(identity)
    expect(refused).toBeInstanceOf(AppError)
    expect(String(refused)).toMatch(/inputs\[0\].*64x64.*32x64/)
  })

  test.each([
    ['inputs', []],
    ['inputs', inputs.slice(1)],
    ['inputs[0]', [inputs[0], inputs[0], inputs[1]]],
    ['inputs[1]', [inputs[0], { ...inputs[1], bytes: Uint8Array.of(1, 2, 3) }]],
  ])('names %s when the inputs of an Inpaint job are wrong', async (field, wrong) => {
    const error = await generate(common, { task: 'Inpaint', inputs: wrong }).catch(identity)
    expect(error).toMatchObject({ code: 'request.invalid', fields: [{ path: field }] })
    expect((await generate(common)).outcome).toBe('Completed')
  })

  test('ends a job early after a cancel', async () => {
    const onStep = (step: number) => step === 10 && common.cancel(patient)
    const { outcome, steps, images } = await generate(common, { steps: 100, images: 50, onStep })
    expect(outcome).toBe('Cancelled')
    expect(images).toEqual([])
    // One run may be under way and one message on its way.
    expect(steps.at(-1)).toBeLessThanOrEqual(13)
  })

  test('runs the next job after a cancelled one', async () => {
    await generate(common, { steps: 100, onStep: () => common.cancel(patient) })
    expect((await generate(common)).outcome).toBe('Completed')
  })

  test('does not take a cancel between two jobs for one of the next job', async () => {
    const { pid } = common
    common.cancel({ graceMs: 0 })
    const { outcome } = await generate(common, { steps: 20 })
    expect({ outcome, pid: common.pid }).toEqual({ outcome: 'Completed', pid })
  })

  test('is Cancelled when the child had to be killed', async () => {
    const runner = await openRunner()
    const onStep = () => runner.cancel({ graceMs: 0 })
    const { outcome } = await generate(runner, { steps: 100, images: 50, onStep })
    expect(outcome).toBe('Cancelled')
  })

  test('goes on with the first missing picture when its child dies once', async () => {
    const runner = await openRunner()
    const expected = await generate(runner, { ...small, steps: 20, images: 3 })
    let died = false
    const onStep = (step: number) => {
      if (!died && step === 30) killChildOf(runner)
      died ||= step === 30
    }
    const seen = await generate(runner, { ...small, steps: 20, images: 3, onStep })
    expect(seen.outcome).toBe('Completed')
    expect(String(seen.restarts)).toContain('signal SIGKILL')
    expect(seen.images.map(({ index }) => index)).toEqual([0, 1, 2])
    expect(bytesOf(seen)).toEqual(bytesOf(expected))
  })

  test('names the second death of its child, and the next job works', async () => {
    const runner = await openRunner()
    const onStep = (step: number) => step > 0 && step % 100 === 1 && killChildOf(runner)
    const change = { ...small, steps: 100, images: 50, onStep }
    const error = await generate(runner, change).catch(identity)
    expect(isAppError(error, 'inference.runner_failed')).toBe(true)
    expect(String(error)).toContain('signal SIGKILL')
    expect((await generate(runner)).outcome).toBe('Completed')
  })

  test('ends a child that is silent for too long', async () => {
    const runner = await openRunner({ silenceMs: 1 })
    const error = await generate(runner, { steps: 100 }).catch(identity)
    expect(isAppError(error, 'inference.runner_failed')).toBe(true)
    expect(String(error)).toContain('was silent for 1 ms')
  })

  test('passes on the named error of a request', async () => {
    const error = await generate(common, { scheduler: 'nope' }).catch(identity)
    expect(isAppError(error, 'inference.unsupported')).toBe(true)
    expect((await generate(common)).outcome).toBe('Completed')
  })

  test('passes on the named error of a model that is not there', async () => {
    const runner = new Runner()
    runners.push(runner)
    const loading = runner.load({ folder: '/nowhere', threads: 1, provider: 'cpu' })
    await expect(loading).rejects.toMatchObject({ code: 'model.pack_invalid' })
  })

  test('ends its child when it is closed, and says so', async () => {
    const runner = await openRunner()
    const pid = runner.pid ?? 0
    const { childEnd, alive } = runner
    await runner.close()
    await childEnd
    expect([alive, runner.alive]).toEqual([true, false])
    await sleep(50)
    expect(existsSync(`/proc/${pid}`)).toBe(false)
  })
})

function identity(error: unknown): unknown {
  return error
}

/** Mean difference of the first picture to a PNG. */
function distance({ images }: Seen, png: Uint8Array): number {
  const [one, other] = [Array.from(decode(images[0].png).data), decode(png).data]
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length
}
