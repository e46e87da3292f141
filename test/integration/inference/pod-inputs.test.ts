import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { decode } from 'fast-png'
import sharp from 'sharp'
import { afterEach, describe, expect, test } from 'vitest'
import { encodePng } from '../../../src/inference/output/png.ts'
import {
  exitCodes,
  loraFolderVariable,
  podEnvironment,
} from '../../../src/shared/domain/pod-contract.ts'
import type { Work } from '../../../src/shared/wire/internal.ts'
import { makePack } from '../../unit/inference/pack-builder.ts'
import { type FakeOptions, startFakeInternalApi } from './fake-internal-api.ts'
import { writeLoraPack } from './lora-pack.ts'
import { startPodProcess } from './pod-process.ts'

const models = path.resolve(import.meta.dirname, '../../../models')
const token = 'token-of-the-pod'

const work = {
  task: 'Inpaint',
  model: { name: 'demo', delivery: { type: 'Embedded', embedded: { path: 'demo' } } },
  parameters: {
    prompt: 'a photo of a hole on metal',
    negativePrompt: '',
    width: 64,
    height: 64,
    steps: 4,
    guidanceScale: 3,
    seed: 7,
    scheduler: 'Euler',
    strength: 1,
    keepUnmaskedPixels: true,
  },
  inputs: [],
  loras: [],
} as const satisfies Work

const picture = grey(64, (x, y) => (x * 5 + y * 3) % 256)
const mask = grey(64, (x, y) => (x >= 16 && x < 48 && y >= 16 && y < 48 ? 255 : 0))
const image = { role: 'Image', name: 'picture', bytes: picture } as const
const maskInput = { role: 'Mask', name: 'mask', bytes: mask } as const

function grey(side: number, value: (x: number, y: number) => number): Uint8Array {
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const at = Math.floor(i / 3)
    return value(at % side, Math.floor(at / side))
  })
  return encodePng({ width: side, height: side, pixels })
}

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

async function runPod(
  options: Partial<FakeOptions> & {
    readonly modelFolder?: string
    readonly environment?: Readonly<Record<string, string>>
  },
) {
  const api = await startFakeInternalApi({ work, token, ...options })
  closers.push(api.close)
  const { modelFolder = path.join(models, 'demo'), environment = {} } = options
  const pod = await startPodProcess({ apiUrl: api.url, token, modelFolder, environment })
  closers.push(async () => {
    pod.process.kill('SIGKILL')
    await pod.end
    await pod.remove()
  })
  const { code, output } = await pod.end
  return { api, code, output, report: api.reports[0]?.report }
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-inputs-'))
  closers.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

describe('a job pod with inputs', { timeout: 60_000 }, () => {
  test('repaints the linked picture under the linked mask', async () => {
    const { api, code, output } = await runPod({ inputs: [image, maskInput] })
    expect({ code, output }).toMatchObject({ code: exitCodes.completed })
    const [before, after] = [decode(picture).data, decode(api.objects[0].bytes).data]
    const changed = Array.from(before.keys()).filter((i) => before[i] !== after[i])
    expect(changed.length).toBeGreaterThan(1000)
    expect(changed.every((i) => decode(mask).data[i] === 255)).toBe(true)
  })

  test('reads inputs that are mounted as files, and says what was done to them', async () => {
    const folder = await temporaryFolder()
    await writeFile(
      path.join(folder, '0'),
      grey(80, (x) => x),
    )
    const parameters = { ...work.parameters, strength: 0.5, resizeMode: 'Stretch' } as const
    const { keepUnmaskedPixels: _unused, ...used } = parameters
    const { report } = await runPod({
      work: {
        ...work,
        task: 'ImageToImage',
        parameters: used,
        inputs: [{ role: 'Image', file: '0' }],
      },
      environment: { [podEnvironment.inputsFolder]: folder },
    })
    expect(report).toMatchObject({ reason: 'Completed', stepsDone: 2 })
    expect(report.outputs[0].inputChanges).toEqual([
      expect.stringMatching(/^inputs\[0\]: .*80x80.*64x64/),
    ])
  })

  test.each([
    ['of another digest', { announced: { sha256: '0'.repeat(64) } }, 'digest is'],
    ['larger than anything it reads', { announced: { sizeBytes: 2 ** 30 } }, 'at most'],
    ['that is no picture', { bytes: Buffer.from('<svg/>') }, 'SVG'],
    ['of another size', { bytes: grey(80, () => 9) }, '80x80'],
  ])('refuses a picture %s and is not retried', async (_, change, text) => {
    const { code, report } = await runPod({ inputs: [{ ...image, ...change }, maskInput] })
    expect(code).toBe(exitCodes.invalidInput)
    expect(report).toMatchObject({ reason: 'InvalidInput', outputs: [], stepsDone: 0 })
    expect(report.message).toContain('inputs[0]')
    expect(report.message).toContain(text)
  })

  test('refuses a key of a ConfigMap that does not exist', async () => {
    const folder = await temporaryFolder()
    const inputs = [{ role: 'Image', file: '0' }] as const
    const { code, report } = await runPod({
      work: { ...work, inputs: [...inputs] },
      environment: { [podEnvironment.inputsFolder]: folder },
      inputs: [maskInput],
    })
    expect(code).toBe(exitCodes.invalidInput)
    expect(report.message).toBe('inputs[0]: the ConfigMap or its key does not exist')
  })

  test('ends for good when an input was deleted meanwhile', async () => {
    const { code, report } = await runPod({ isInputGone: true })
    expect(code).toBe(exitCodes.invalidInput)
    expect(report).toMatchObject({ reason: 'InvalidInput', outputs: [] })
  })

  test('shows previews of the picture that is being made', async () => {
    const parameters = { ...work.parameters, steps: 100 }
    const { api } = await runPod({ work: { ...work, parameters }, inputs: [image, maskInput] })
    const previews = api.progress.flatMap(({ preview }) => preview ?? [])
    expect(previews.length).toBeGreaterThan(0)
    const { format } = await sharp(Buffer.from(previews[0], 'base64')).metadata()
    expect(format).toBe('jpeg')
    expect(api.faults).toEqual([])
  })
})

describe('a job pod with LoRAs', { timeout: 60_000 }, () => {
  const { strength: _none, keepUnmaskedPixels: _unused, ...parameters } = work.parameters

  async function runWithLora(scale: number | undefined) {
    const pack = await makePack()
    closers.push(pack.remove)
    const loraFolder = await writeLoraPack(await temporaryFolder())
    const loras = scale === undefined ? [] : [{ name: 'rust', scale }]
    return await runPod({
      work: { ...work, task: 'TextToImage', parameters, loras },
      modelFolder: pack.folder,
      environment: { [loraFolderVariable(0)]: loraFolder },
    })
  }

  test('applies each at its scale, and at 0 not at all', async () => {
    const [plain, off, on] = [
      await runWithLora(undefined),
      await runWithLora(0),
      await runWithLora(1),
    ]
    expect([plain.code, off.code, on.code]).toEqual([0, 0, 0])
    const pixels = [plain, off, on].map(({ api }) => decode(api.objects[0].bytes).data)
    const differences = (one: number) =>
      Array.from(pixels[0].keys()).filter((i) => Math.abs(pixels[0][i] - pixels[one][i]) > 1)
    expect(differences(1)).toEqual([])
    expect(differences(2).length).toBeGreaterThan(1000)
  })

  test('fails when it has no folder for one', async () => {
    const { code, report } = await runPod({
      work: { ...work, task: 'TextToImage', parameters, loras: [{ name: 'rust', scale: 1 }] },
    })
    expect(code).toBe(exitCodes.failed)
    expect(report.message).toContain('no folder for the LoRA rust')
  })
})
