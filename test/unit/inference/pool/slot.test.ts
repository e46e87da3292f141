import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { warmRequests } from '../../../../src/inference/pool/warm-step.ts'
import { readManifest } from '../../../../src/inference/models/manifest.ts'
import type { EndReason } from '../../../../src/platform/pool-pod/assignments.ts'
import { type Lent, type PoolModel, Slot } from '../../../../src/inference/pool/slot.ts'
import { eventually } from '../../../support/eventually.ts'
import { makePack, type TestPack } from '../pack-builder.ts'
import { FakeRunner } from './fake-runner.ts'

const folder = path.resolve(import.meta.dirname, '../../../../models/demo')
const demo: PoolModel = { name: 'demo', folder }
const requests = warmRequests((await readManifest(folder)).manifest)
const [request] = requests
const warmStep = requests.map(({ prompt }) => prompt)

const closing: AbortController[] = []
const packs: TestPack[] = []
afterEach(async () => {
  for (const controller of closing.splice(0)) controller.abort()
  await Promise.all(packs.splice(0).map(async (pack) => await pack.remove()))
})

function openSlot(models: readonly PoolModel[] = [demo]) {
  const closed = new AbortController()
  closing.push(closed)
  const runner = new FakeRunner()
  const faults: string[] = []
  const slot = new Slot({
    runner,
    models,
    profile: { threads: 1, provider: 'cpu' },
    memoryBytes: 2 ** 40,
    random: () => 0,
    closed: closed.signal,
    onError: (error) => faults.push(String(error)),
  })
  return { slot, runner, faults }
}

/** With one warm step behind it. */
async function openWarmSlot(models?: readonly PoolModel[]) {
  const opened = openSlot(models)
  await opened.slot.start()
  expect(opened.slot.isFree).toBe(true)
  opened.runner.prompts.length = 0
  return opened
}

const job = { uid: 'uid-1', attempt: 1 }

async function lend(slot: Slot, action: (lent: Lent) => Promise<EndReason>, model = demo) {
  return await slot.lend({ job, model }, action)
}

/** As a job does that gets as far as its pictures. */
async function makePicture({ runner, model }: Lent): Promise<EndReason> {
  await model.load()
  const events = { onProgress: () => {}, onImage: () => {} }
  const generating = runner.generate({ ...request, prompt: 'a scratch' }, events)
  return await generating.catch(() => 'Failed' as const)
}

async function untilIdle(slot: Slot): Promise<void> {
  await eventually(() => expect(slot.describe().state).toBe('Idle'))
}

describe('a slot after a job', () => {
  test('is free at once when the job was completed', async () => {
    const { slot, runner } = await openWarmSlot()
    expect(await lend(slot, makePicture)).toBe('Completed')
    expect(slot.isFree).toBe(true)
    expect(runner.prompts).toEqual(['a scratch'])
  })

  test.each(['Cancelled', 'InvalidInput'] as const)(
    'is free at once when the job ended as %s in a child that lives',
    async (reason) => {
      const { slot, runner } = await openWarmSlot()
      await lend(slot, async () => await Promise.resolve(reason))
      expect(slot.isFree).toBe(true)
      expect(runner.prompts).toEqual([])
    },
  )

  test('makes a warm step again when the job has failed, although its child lives', async () => {
    const { slot, runner } = await openWarmSlot()
    expect(await lend(slot, async () => await Promise.resolve('Failed'))).toBe('Failed')
    expect(slot.describe()).toMatchObject({ state: 'Loading', job: null })
    await untilIdle(slot)
    expect(runner.prompts).toEqual(warmStep)
    expect(runner.loads).toHaveLength(1)
  })

  test('makes a warm step again when the action throws', async () => {
    const { slot, runner } = await openWarmSlot()
    const failing = lend(slot, async () => await Promise.reject(new Error('a bug')))
    await expect(failing).rejects.toThrow('a bug')
    await untilIdle(slot)
    expect(runner.prompts).toEqual(warmStep)
  })

  test('makes a warm step again when a cancel has cost its child', async () => {
    const { slot, runner } = await openWarmSlot()
    await lend(slot, async () => {
      runner.die()
      return await Promise.resolve('Cancelled')
    })
    await untilIdle(slot)
    expect(runner.loads).toHaveLength(2)
  })

  test('has another child with the same model when its own is broken for good', async () => {
    const pack = await makePack()
    packs.push(pack)
    const { slot, runner, faults } = await openWarmSlot([
      demo,
      { name: 'tiny', folder: pack.folder },
    ])
    runner.fault = 'Child'
    expect(await lend(slot, makePicture)).toBe('Failed')
    await untilIdle(slot)
    expect(runner.loads).toEqual([folder, folder])
    expect(runner.prompts).toEqual(['a scratch', 'warm', ...warmStep])
    expect(slot.describe()).toMatchObject({ model: 'demo' })
    expect(faults.join()).toContain('CUDA error')
    // The black hole: one child that fails every job which it is given.
    expect(await lend(slot, makePicture)).toBe('Completed')
  })
})

describe('a slot that cannot get warm', () => {
  test('tries each time with a fresh child, and works as soon as its model does', async () => {
    const { slot, runner } = openSlot()
    runner.fault = 'Model'
    const started = slot.start()
    await eventually(() => expect(slot.describe().state).toBe('Failed'))
    expect(slot.describe()).toMatchObject({
      model: null,
      message: expect.stringMatching(/^demo: /),
    })
    expect(runner.loads).toHaveLength(1)
    runner.fault = 'Child'
    await started
    expect(slot.isFree).toBe(true)
    expect(runner.loads).toHaveLength(2)
    expect(slot.describe()).toEqual({ model: 'demo', state: 'Idle', job: null })
  })

  test('takes the next model when a fresh child with the first one fails, too', async () => {
    const pack = await makePack()
    packs.push(pack)
    await pack.list({ tasks: [] })
    const { slot, runner } = openSlot([{ name: 'tiny', folder: pack.folder }, demo])
    await slot.start()
    expect(slot.describe()).toMatchObject({
      model: 'demo',
      state: 'Idle',
      message: expect.stringMatching(/^tiny: /),
    })
    expect(runner.loads).toEqual([folder])
  })
})
