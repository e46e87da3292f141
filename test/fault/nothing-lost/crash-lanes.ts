import { expect } from 'vitest'
import { createObject } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import type { RunBehaviour } from '../../integration/controller/fake-pool-pod.ts'
import { startFakePoolPods } from '../../integration/controller/fake-pool-pods.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { poolScene } from '../../integration/controller/pool-scene.ts'
import { completes, fails, runs } from '../../integration/controller/scene.ts'
import { createWorld, modelSpec, type World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import { expectNothingLost, expectQuiet } from './audit.ts'
import type { CrashScenario } from './crash-plays.ts'
import { watchWorld, type WorldScene } from './world-scene.ts'

/** A world in which plays follow each other. */
export type Lane = {
  readonly world: World
  readonly scene: WorldScene
  readonly hasPool: boolean
  readonly spec: Partial<GenerationJobSpec>
  /** A Model for which no Node has GPUs enough. */
  readonly giant: string
  readonly nextNumber: () => number
  /** Decides about a job's first attempt, before the job is made. */
  readonly behave: (job: string, first: CrashScenario['first']) => void
  readonly untilBegun: (job: string) => Promise<void>
  /** Where nobody interferes. */
  readonly untilOver: (scenario: CrashScenario, job: string) => Promise<void>
  /** Attempts that have a slot of a pool. */
  readonly running: () => readonly string[]
  readonly close: () => Promise<void>
}

const behaviours = { Completes: completes, Fails: fails, Runs: runs } as const

/** Every attempt is a pod of its own. */
export async function openDedicatedLane(): Promise<Lane> {
  const firsts = new Map<string, Behaviour>()
  const world = await createWorld({
    behaviour: (attempt, job) => (attempt === 1 ? (firsts.get(job) ?? completes) : completes),
  })
  const scene = await watchWorld(world)
  const untilBegun = async (job: string) =>
    await eventually(async () => {
      const { attempt } = (await world.getJob(job)).status ?? {}
      expect(attempt).toMatchObject({ number: 1, startTime: expect.any(String) })
    })
  return {
    ...(await laneOf(world)),
    scene,
    hasPool: false,
    spec: { execution: 'Dedicated' },
    behave: (job, first) => firsts.set(job, behaviours[first]),
    untilBegun,
    untilOver: async () => await Promise.resolve(),
    running: () => [],
    close: async () => {
      await scene.close()
      await closeLane(world)
    },
  }
}

/** Every attempt has the one slot of a pool, which is there before anybody dies. */
export async function openPooledLane(): Promise<Lane> {
  const world = await createWorld()
  const { admin: client, api, namespace } = world
  const slots = startFakePoolPods({ client, api, namespace })
  const controller = await world.startController()
  const pool = poolScene(world, 'warm')
  await pool.create({ replicas: 1 })
  await pool.until('True/Ready')
  await controller.stop()
  const scene = await watchWorld(world, slots)
  const untilBegun = async (job: string) => {
    await eventually(() => expect(slots.begun()).toContain(`${job}/1`))
    slots.behave(job, { ...runOf(completes), ...runOf(runs) })
  }
  return {
    ...(await laneOf(world)),
    scene,
    hasPool: true,
    spec: { execution: 'Pooled' },
    behave: (job, first) => slots.behave(job, runOf(behaviours[first])),
    untilBegun,
    untilOver: async ({ first }, job) => {
      if (first === 'Fails') await untilBegun(job)
    },
    running: slots.running,
    close: async () => {
      await scene.close()
      await slots.close()
      await closeLane(world)
    },
  }
}

function runOf({ exit, stopReport }: Behaviour): RunBehaviour {
  const report = exit?.report
  return { ...(report && { report }), ...(stopReport && { stopReport }) }
}

async function laneOf(world: World): Promise<Pick<Lane, 'world' | 'giant' | 'nextNumber'>> {
  const giant = `${world.namespace}-giant`
  const spec = modelSpec({ resources: { gpus: 8, cpu: '100m', memory: '64Mi' } })
  await createObject(world.admin, models, { metadata: { name: giant }, spec })
  let count = 0
  return { world, giant, nextNumber: () => (count += 1) }
}

async function closeLane(world: World): Promise<void> {
  await world.removeModel(`${world.namespace}-giant`)
  await world.close()
}

/** Nothing of all that was played is lost, and a controller that looks at it has nothing to do. */
export async function expectRest(lanes: readonly Lane[]): Promise<void> {
  await Promise.all(lanes.map(async ({ world }) => await world.startController()))
  for (const { scene } of lanes) await expectNothingLost(scene)
  await expectQuiet(...lanes.map(({ scene }) => scene))
}

/** Most of a play is waiting: those of several worlds do not disturb each other. */
export async function inLanes<T>(
  lanes: readonly Lane[],
  all: readonly T[],
  work: (lane: Lane, one: T) => Promise<void>,
): Promise<void> {
  const left = [...all]
  const walk = async (lane: Lane) => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(lane, one)
  }
  await Promise.all(lanes.map(walk))
}
