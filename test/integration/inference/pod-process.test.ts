import { createHash } from 'node:crypto'
import path from 'node:path'
import { decode } from 'fast-png'
import { afterEach, describe, expect, test } from 'vitest'
import { readPngTexts } from '../../support/png-text.ts'
import { exitCodes } from '../../../src/shared/domain/pod-contract.ts'
import type { Work } from '../../../src/shared/wire/internal.ts'
import { demoWork } from './demo-work.ts'
import {
  type FakeInternalApi,
  type FakeOptions,
  startFakeInternalApi,
} from './fake-internal-api.ts'
import { type PodProcess, startPodProcess } from './pod-process.ts'

const demoModel = path.resolve(import.meta.dirname, '../../../models/demo')
const token = 'token-of-the-pod'

const work = {
  ...demoWork,
  parameters: { ...demoWork.parameters, width: 64, height: 64, batchCount: 2 },
} as const satisfies Work

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

type Scene = { readonly api: FakeInternalApi; readonly pod: PodProcess }

async function startPod(
  options: Partial<FakeOptions> & {
    modelFolder?: string
    environment?: Readonly<Record<string, string>>
  } = {},
): Promise<Scene> {
  const api = await startFakeInternalApi({ work, token, ...options })
  closers.push(api.close)
  const modelFolder = options.modelFolder ?? demoModel
  const { environment = {} } = options
  const pod = await startPodProcess({ apiUrl: api.url, token, modelFolder, environment })
  closers.push(async () => {
    pod.process.kill('SIGKILL')
    await pod.end
    await pod.remove()
  })
  return { api, pod }
}

function withParameters(change: Partial<Work['parameters']>): Work {
  return { ...work, parameters: { ...work.parameters, ...change } }
}

async function waitFor(fact: () => boolean): Promise<void> {
  const endMs = Date.now() + 30_000
  while (!fact()) {
    if (Date.now() > endMs) throw new Error('what the test waits for did not happen')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe('a job pod', () => {
  test('makes, uploads and reports the pictures of its job, which carry their recipe', async () => {
    const { api, pod } = await startPod()

    const { code, output } = await pod.end

    expect({ code, output }).toMatchObject({ code: exitCodes.completed })
    expect(api.faults).toEqual([])
    expect(api.reports).toHaveLength(1)
    const [{ report, body }] = api.reports
    expect(report).toMatchObject({ reason: 'Completed', stepsDone: 8 })
    expect(report.outputs.map(({ name, seed }) => [name, seed])).toEqual([
      ['image-0000.png', 7],
      ['image-0001.png', 8],
    ])
    expect(await pod.terminationMessage()).toEqual({
      reason: 'Completed',
      digest: createHash('sha256').update(body).digest('hex'),
    })
    const [first, second] = api.objects
    expect(decode(first.bytes)).toMatchObject({ width: 64, height: 64, channels: 3 })
    expect(first.bytes.equals(second.bytes)).toBe(false)
    expect(readPngTexts(second.bytes)['parameters']).toMatch(
      /^a photo of a scratch on metal\nSteps: 4, Sampler: Euler, CFG scale: 3, Seed: 8, Size: 64x64/,
    )
  })

  test('stores PNG files without a recipe for a department that wants none', async () => {
    const { api, pod } = await startPod({ work: { ...work, embedRecipe: false } })
    await pod.end
    expect(api.reports.map(({ report }) => report.reason)).toEqual(['Completed'])
    expect(api.objects.map(({ bytes }) => readPngTexts(bytes))).toEqual([{}, {}])
  })

  test('posts growing sequences of full snapshots', async () => {
    const { api, pod } = await startPod({ work: withParameters({ steps: 50, batchCount: 2 }) })
    await pod.end
    const sequences = api.progress.map(({ sequence }) => sequence)
    expect(sequences).toEqual(sequences.map((_, i) => i + 1))
    const steps = api.progress.map(({ stepsDone }) => stepsDone)
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
    expect(api.progress[0]).toMatchObject({ images: 2, steps: 50 })
  })

  test('asks again until it is the current attempt, and uploads again what failed', async () => {
    const { api, pod } = await startPod({ notCurrent: 3, failedUploads: 1 })
    const { code, output } = await pod.end
    expect({ code, output }).toMatchObject({ code: exitCodes.completed })
    expect(api.reports[0].report.reason).toBe('Completed')
    expect(api.objects.map(({ name }) => name)).toEqual(['image-0000.png', 'image-0001.png'])
  })

  test.each([
    ['parameters.scheduler', { scheduler: 'No such sampler' }],
    ['parameters.width', { width: 60 }],
    ['parameters.height', { height: 4096 }],
    ['parameters.prompt', { prompt: undefined }],
  ])('refuses a bad %s by name and is not retried', async (field, change) => {
    const { api, pod } = await startPod({ work: withParameters(change) })
    const { code, output } = await pod.end
    expect({ code, output }).toMatchObject({ code: exitCodes.invalidInput })
    expect(api.reports[0].report).toMatchObject({
      reason: 'InvalidInput',
      outputs: [],
      stepsDone: 0,
    })
    expect(api.reports[0].report.message).toContain(field)
    expect(await pod.terminationMessage()).toMatchObject({ reason: 'InvalidInput' })
  })

  test('reports Cancelled with the finished pictures after SIGTERM', async () => {
    const long = withParameters({ steps: 20, batchCount: 100 })
    const { api, pod } = await startPod({ work: long })
    await waitFor(() => api.objects.length > 0)

    pod.process.kill('SIGTERM')
    const { code, output } = await pod.end

    expect({ code, output }).toMatchObject({ code: exitCodes.cancelled })
    const { report } = api.reports[0]
    expect(report.reason).toBe('Cancelled')
    expect(report.outputs.length).toBe(api.objects.length)
    expect(report.outputs.length).toBeLessThan(100)
    expect(report.stepsDone).toBeGreaterThanOrEqual(20)
    expect(report.stepsDone).toBeLessThan(2000)
  })

  test('reports Cancelled after SIGTERM while it still waits for its work', async () => {
    const { api, pod } = await startPod({ notCurrent: Infinity })
    await waitFor(() => api.workCalls() > 1)
    pod.process.kill('SIGTERM')
    const { code, output } = await pod.end
    expect({ code, output }).toMatchObject({ code: exitCodes.cancelled })
    expect(api.reports.map(({ report }) => report)).toMatchObject([
      { reason: 'Cancelled', outputs: [], stepsDone: 0 },
    ])
  })

  test('fails with the file named when the Model wants another digest', async () => {
    const other = { ...work, model: { ...work.model, digest: '0'.repeat(64) } }
    const { api, pod } = await startPod({ work: other })
    const { code, output } = await pod.end
    expect({ code, output }).toMatchObject({ code: exitCodes.failed })
    expect(api.reports[0].report.message).toContain('atelier-model.json: digest is')
  })

  test('names the wrong variable when it is misconfigured', async () => {
    const pod = await startPodProcess({ apiUrl: 'not an address', token, modelFolder: demoModel })
    closers.push(pod.remove)
    const { code, output } = await pod.end
    expect({ code, output }).toMatchObject({ code: exitCodes.failed })
    expect(output).toContain('ATELIER_API_URL: must be an http or https address')
  })
})
