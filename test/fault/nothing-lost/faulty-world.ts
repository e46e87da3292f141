import { expect } from 'vitest'
import type { Controller, ControllerOptions } from '../../../src/controller/manager.ts'
import { openKubeClient } from '../../../src/platform/kube/client.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { conditionOf, type Expected } from '../../integration/controller/scene.ts'
import { createWorld, type World, type WorldOptions } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import { type FaultProxy, type SeenRequest, startFaultProxy } from '../../support/fault-proxy.ts'
import { longTests } from '../../support/long.ts'
import { expectNothingLost, expectQuiet, type Scene } from './audit.ts'
import { isOfOtherModel, watchWorld, type WorldScene } from './world-scene.ts'

/** A world whose controller reaches the API server through a proxy that can misbehave. */
export type FaultyWorld = {
  readonly world: World
  readonly proxy: FaultProxy
  readonly scene: WorldScene
  readonly startController: (options?: Partial<ControllerOptions>) => Promise<Controller>
  /** What the controllers behind the proxy wrote, in order. */
  readonly writes: () => readonly SeenRequest[]
  /** Whoever came in on another way is to be closed with the world. */
  readonly onClose: (close: () => Promise<void>) => void
}

export const faultTimeout = longTests ? 1_200_000 : 120_000

type Play = (faulty: FaultyWorld) => Promise<void>

/** A scenario in a world of its own, which ends with the audit, and then with quiet. */
export function inFaultyWorld(options: WorldOptions, play: Play): () => Promise<void> {
  return async () => {
    const closing: (() => Promise<void>)[] = []
    const faulty = await open(options, closing)
    try {
      await play(faulty)
      await expectNothingLost(faulty.scene)
      await expectQuiet(faulty.scene)
    } finally {
      for (const close of closing.toReversed()) await close()
    }
  }
}

async function open(options: WorldOptions, closing: (() => Promise<void>)[]): Promise<FaultyWorld> {
  const world = await createWorld(options)
  closing.push(world.close)
  const watched = await watchWorld(world)
  closing.push(watched.close)
  const { kubeconfigPath } = await world.files()
  const proxy = await startFaultProxy(kubeconfigPath)
  const client = openKubeClient({
    kubeconfigPath: proxy.kubeconfigPath,
    userAgent: 'atelier-fault',
  })
  // Before the world: what still hangs in the proxy would keep its controllers from stopping.
  closing.push(async () => {
    await proxy.close()
    await client.close()
  })
  const writes = () => proxy.requests.filter(isWrite)
  return {
    world,
    proxy,
    scene: {
      ...watched,
      writes: async () => {
        const own = lines(writes()).filter((line) => !isOfOtherModel(line, world))
        return [...(await watched.writes()), own]
      },
    },
    startController: async (over) => await world.startController(() => client, over),
    writes,
    onClose: (close) => closing.push(close),
  }
}

function lines(requests: readonly SeenRequest[]): readonly string[] {
  return requests.map(({ method, url }) => `${method} ${url}`)
}

function isWrite({ method, url }: SeenRequest): boolean {
  return method !== 'GET' && !url.includes('/events') && !url.includes('/leases')
}

/** As `until`, with as much time as a scenario may need. */
export async function untilCondition(
  world: World,
  { type, is, name = 'job' }: Expected,
): Promise<GenerationJob> {
  return await eventually(async () => {
    const job = await world.getJob(name)
    expect(conditionOf(job, type), `${name} ${type}`).toBe(is)
    return job
  }, faultTimeout / 2)
}

export type { Scene }
