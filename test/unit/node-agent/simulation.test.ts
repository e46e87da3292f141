import { describe, expect, it } from 'vitest'
import { readNodeAgentConfig } from '../../../src/platform/config/node-agent.ts'
import { parseImageMap } from '../../../src/local/node-agent/image-map.ts'
import { nodeDraft } from '../../../src/local/node-agent/nodes.ts'
import { FakePoolPod } from '../../../src/local/node-agent/simulation/fake-pool-pod.ts'
import {
  secondsOf,
  secondsOfContainer,
  simulationOf,
} from '../../../src/local/node-agent/simulation/simulation.ts'
import { aContainer } from './builders.ts'

const images = parseImageMap({
  'real/image': { command: ['node'] },
  'simulated/image': { simulate: { seconds: 2, models: { fast: 0.2 } } },
})

function inFolder(value: string) {
  return aContainer({ env: [{ name: 'ATELIER_MODEL_FOLDER', value }] })
}

function labelOf(isSimulating: boolean) {
  const { labels = {} } = nodeDraft({ name: 'node', gpus: 1, isSimulating }).metadata
  return labels['atelier.dev/simulated-pods']
}

function config(count: string) {
  return readNodeAgentConfig({
    KUBECONFIG: '/kubeconfig',
    ATELIER_NODE_FOLDER: '/nodes',
    ATELIER_IMAGE_MAP: '/images.json',
    ATELIER_NODE_COUNT: count,
  })
}

describe('an image map', () => {
  it('says how long what is simulated takes', () => {
    const settings = images.get('simulated/image')?.simulate
    expect(settings).toEqual({ seconds: 2, models: { fast: 0.2 }, loadSeconds: 0 })
    expect(images.get('real/image')?.simulate).toBeUndefined()
  })

  it.each([
    { simulate: {} },
    { simulate: { seconds: -1 } },
    { simulate: { seconds: 1, minutes: 1 } },
    { simulate: { seconds: 1 }, command: ['node'] },
    {},
  ])('refuses %j', (entry) => {
    expect(() => parseImageMap({ image: entry })).toThrow(/image/)
  })
})

describe('simulated pods', () => {
  it('are those with a simulated image', () => {
    const names = ['real/image', 'simulated/image', 'other/image', undefined]
    const found = names.map((image) => simulationOf([aContainer({ image })], images)?.seconds)
    expect(found).toEqual([undefined, 2, undefined, undefined])
    const both = ['real/image', 'simulated/image'].map((image) => aContainer({ image }))
    expect(simulationOf(both, images)?.seconds).toBe(2)
  })

  it('take as long as their model says', () => {
    const settings = simulationOf([aContainer({ image: 'simulated/image' })], images)
    if (settings === undefined) throw new Error('it is simulated')
    expect(secondsOfContainer(settings, inFolder('/models/fast'))).toBe(0.2)
    expect(secondsOfContainer(settings, inFolder('/models/slow'))).toBe(2)
    expect(secondsOfContainer(settings, aContainer())).toBe(2)
    expect(secondsOf(settings, 'fast')).toBe(0.2)
  })

  it('are announced by a label of their Nodes', () => {
    expect([labelOf(true), labelOf(false)]).toEqual(['true', undefined])
  })

  it('fit on hundreds of Nodes', () => {
    expect(config('1000').nodeCount).toBe(1000)
    expect(() => config('1001')).toThrow(/ATELIER_NODE_COUNT/)
  })
})

describe('a fake pool pod', () => {
  const simulation = { seconds: 0, models: { slow: 3600 }, loadSeconds: 0 }
  const open = async (slots: number, loadSeconds = 0) => {
    const settings = { ...simulation, loadSeconds }
    const models = ['fast', 'slow']
    const pod = new FakePoolPod({ runner: 'fake-runner', models, slots, simulation: settings })
    await pod.start(new AbortController().signal)
    return pod
  }
  const jobId = '0'.repeat(26)
  const give = (pod: FakePoolPod, uid: string, model: string) =>
    pod.assign(uid, { attempt: 1, jobId, runner: 'fake-runner', model })
  const never = new AbortController().signal

  it('forgets the oldest of a thousand ended jobs, and none that runs', async () => {
    const pod = await open(1002)
    give(pod, 'running', 'slow')
    for (let index = 0; index < 1001; index += 1) give(pod, `uid-${index}`, 'fast')
    const stateOf = async (uid: string) => await pod.wait({ uid, attempt: 1 }, 10_000, never)
    expect(await stateOf('uid-1000')).toMatchObject({ state: 'Ended' })
    await expect(stateOf('uid-0')).rejects.toThrow(/not known/)
    expect(await stateOf('uid-1')).toMatchObject({ state: 'Ended' })
    const running = await pod.wait({ uid: 'running', attempt: 1 }, 0, never)
    expect(running).toMatchObject({ state: 'Running' })
    pod.cancelAll()
  })

  it('is ready when its models are loaded, and takes time to load another one', async () => {
    const simulated = { ...simulation, loadSeconds: 0.02 }
    const options = { runner: 'fake-runner', models: ['fast', 'slow'], slots: 1 }
    const pod = new FakePoolPod({ ...options, simulation: simulated })
    expect(pod.isReady).toBe(false)
    expect(() => give(pod, 'early', 'fast')).toThrow(/every slot/)
    await pod.start(never)
    expect(pod.isReady).toBe(true)
    give(pod, 'switching', 'slow')
    expect(pod.describe().slots).toMatchObject([{ model: null, state: 'Busy' }])
    pod.drain()
    expect([pod.isReady, pod.isIdle]).toEqual([false, false])
    pod.cancelAll()
    const ended = await pod.wait({ uid: 'switching', attempt: 1 }, 10_000, never)
    expect(ended).toMatchObject({ reason: 'Cancelled' })
    expect(pod.isIdle).toBe(true)
  })

  it('stays without models when it is closed while it loads them', async () => {
    const closing = new AbortController()
    const options = { runner: 'fake-runner', models: ['fast'], slots: 1 }
    const pod = new FakePoolPod({ ...options, simulation: { ...simulation, loadSeconds: 3600 } })
    const started = pod.start(closing.signal)
    closing.abort()
    await started
    expect(pod.isReady).toBe(false)
  })
})
