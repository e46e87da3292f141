import { afterEach, describe, expect, it } from 'vitest'
import { createObject, getObject } from '../../../src/platform/kube/objects.ts'
import { models, serviceAccounts } from '../../../src/platform/kube/resources.ts'
import { eventually } from '../../support/eventually.ts'
import { held } from './fake-internal-api.ts'
import {
  completes,
  conditionOf,
  fails,
  messageOf,
  output,
  reportWith,
  runs,
  until,
} from './scene.ts'
import { createWorld, modelSpec, type World, type WorldOptions } from './world.ts'

let world: World

afterEach(async () => {
  await world.close()
})

async function startWorld(options: WorldOptions = {}): Promise<World> {
  world = await createWorld(options)
  await world.startController()
  return world
}

describe('a job that succeeds', () => {
  it('runs once, is told about, and leaves outputs in its status', async () => {
    // A pod that ends before the controller has seen it run is never told to have started.
    let behaviour = runs
    await startWorld({ behaviour: () => behaviour })
    const { metadata } = await world.createJob()
    await until(world, { type: 'PodsReady', is: 'True/Running' })
    behaviour = completes
    const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(job.status?.outputs).toEqual([output])
    expect(job.status?.summary).toBe('1/1')
    expect(job.status?.attempt).toMatchObject({ number: 1, nodeName: world.nodes[0]?.name })
    expect(job.status?.observedGeneration).toBe(job.metadata.generation)
    expect(conditionOf(job, 'CreditsReserved')).toBe('True/Reserved')
    expect(conditionOf(job, 'ModelReady')).toBe('True/Ready')
    expect(conditionOf(job, 'PodsReady')).toBe('False/Ended')
    expect(await world.attemptNames()).toEqual([`gj-${metadata.uid}-a1`])
    await eventually(async () => {
      expect(await world.eventReasons()).toEqual(['Admitted', 'Completed', 'Started'])
    })
  })

  it('gets the service account of job pods in its namespace', async () => {
    await startWorld({ behaviour: () => completes })
    await world.createJob()
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
    const account = await getObject(world.admin, serviceAccounts, {
      name: 'atelier-job',
      namespace: world.namespace,
    })
    expect(account.automountServiceAccountToken).toBe(false)
  })

  it('runs without GPUs where the cluster has none and the settings permit it', async () => {
    await startWorld({ gpus: [0], allowCpu: true, behaviour: () => completes })
    await world.createJob()
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(await world.attemptNames()).toHaveLength(1)
  })
})

describe('a job that cannot start yet', () => {
  it('waits for a Model that does not exist and starts when it is made', async () => {
    await startWorld({ behaviour: () => completes })
    const later = `${world.namespace}-later`
    await world.createJob({ modelRef: { name: later } })
    const job = await until(world, { type: 'ModelReady', is: 'False/ModelNotFound' })
    expect(messageOf(job, 'ModelReady')).toContain(later)
    expect(conditionOf(job, 'Succeeded')).toBe('Unknown/Running')
    expect(conditionOf(job, 'Admitted')).toBe('False/Queued')
    expect(conditionOf(job, 'PodsReady')).toBe('False/NotStarted')
    await createObject(world.admin, models, { metadata: { name: later }, spec: modelSpec() })
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
    await world.removeModel(later)
  })

  it('says so when the Model does not do its task', async () => {
    await startWorld()
    await world.createJob({ task: 'RemoveBackground', parameters: {}, inputs: [anImage] })
    const job = await until(world, { type: 'ModelReady', is: 'False/UnsupportedTask' })
    expect(messageOf(job, 'ModelReady')).toContain('RemoveBackground')
  })

  it('waits for credits and starts when they arrive', async () => {
    world = await createWorld({ behaviour: () => completes })
    const { metadata } = await world.createJob()
    world.api.setHold(metadata.uid, {
      state: 'Waiting',
      reason: 'InsufficientCredits',
      message: '2 credits are missing',
      microCredits: 0,
    })
    await world.startController()
    const job = await until(world, { type: 'CreditsReserved', is: 'False/InsufficientCredits' })
    expect(messageOf(job, 'CreditsReserved')).toBe('2 credits are missing')
    world.api.setHold(metadata.uid, held)
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
  })

  it('waits while the api is down, without writing again and again', async () => {
    world = await createWorld({ behaviour: () => completes })
    world.api.setDown(true)
    const controller = await world.startController()
    await world.createJob()
    await until(world, { type: 'CreditsReserved', is: 'Unknown/Pending' })
    const before = await until(world, { type: 'ModelReady', is: 'True/Ready' })
    await eventually(() => {
      expect(world.api.requests.length).toBeGreaterThanOrEqual(3)
    })
    const after = await world.getJob('job')
    expect(after.metadata.resourceVersion).toBe(before.metadata.resourceVersion)
    expect(controller.isReady()).toBe(true)
    world.api.setDown(false)
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
  })

  it('ends at once when the api refuses it for good', async () => {
    world = await createWorld()
    const { metadata } = await world.createJob()
    world.api.setHold(metadata.uid, {
      state: 'Refused',
      reason: 'InvalidInput',
      message: 'inputs[0]: there is no such artifact',
      microCredits: 0,
    })
    await world.startController()
    const job = await until(world, { type: 'Succeeded', is: 'False/InvalidInput' })
    expect(messageOf(job, 'Succeeded')).toBe('inputs[0]: there is no such artifact')
    expect(await world.attemptNames()).toEqual([])
  })
})

// How containers can end is in test/fault/nothing-lost/pods.ts, scenario 21.
describe('a job whose pod fails', () => {
  it('is tried again and then succeeds', async () => {
    await startWorld({ behaviour: (attempt) => (attempt === 1 ? fails : completes) })
    const { metadata } = await world.createJob()
    const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(job.status).toMatchObject({ failedAttempts: 1, attempt: { number: 2 } })
    expect(await world.attemptNames()).toEqual([`gj-${metadata.uid}-a1`, `gj-${metadata.uid}-a2`])
  })

  it('never takes the report of an older attempt for its own', async () => {
    await startWorld({ behaviour: (attempt) => (attempt === 1 ? fails : runs) })
    const { metadata } = await world.createJob()
    await eventually(async () => {
      const { status } = await world.getJob('job')
      expect(status?.attempt).toMatchObject({ number: 2, startTime: expect.any(String) })
    })
    world.api.setReport(metadata.uid, 1, reportWith('Completed', [output]))
    await world.patchSpec('job', { cancel: true })
    const job = await until(world, { type: 'Succeeded', is: 'False/Cancelled' })
    expect(job.status?.attempt?.number).toBe(2)
  })
})

const anImage = {
  role: 'Image' as const,
  configMapRef: { name: 'pictures', key: 'part.png' },
}
