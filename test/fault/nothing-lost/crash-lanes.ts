import { expect } from 'vitest'
import { createObject } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import type { RunBehaviour } from '../../integration/controller/fake-pool-pod.ts'
import { startFakePoolPods } from '../../integration/controller/fake-pool-pods.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { createQueuedJob, giveQuota } from '../../integration/controller/kueue-scene.ts'
import { poolScene } from '../../integration/controller/pool-scene.ts'
import { completes, fails, runs } from '../../integration/controller/scene.ts'
import {
  createWorld,
  modelSpec,
  type World,
  type WorldOptions,
} from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { Facts } from './audit.ts'
import type { Stage } from './crash-kills.ts'
import { type CrashScenario, quotaKey } from './crash-plays.ts'
import { watchWorld, type WorldScene } from './world-scene.ts'

/** Where jobs are played. */
export type Lane = Stage & {
  readonly scene: WorldScene
  readonly hasPool: boolean
  readonly spec: Partial<GenerationJobSpec>
  /** A Model for which no Node has GPUs enough, and no pool serves it. */
  readonly giant: string
  readonly waiting: Waiting
  readonly createJob: World['createJob']
  readonly nextNumber: () => number
  /** Decides about a job's first attempt, before the job is made. */
  readonly behave: (job: string, first: CrashScenario['first']) => void
  readonly untilBegun: (job: string) => Promise<void>
  /** Where nobody interferes. */
  readonly untilOver: (scenario: CrashScenario, job: string) => Promise<void>
  /** Attempts that have a slot of a pool. */
  readonly running: () => readonly string[]
}

/** What a job of the giant Model is told. */
type Waiting = {
  /** By `Admitted`, with a part of its message. */
  readonly is: string
  readonly saying: string
  /** A part of the message of its end. */
  readonly endsBecause: string
}

const behaviours = { Completes: completes, Fails: fails, Runs: runs } as const

const queued = { is: 'False/Queued', saying: '' } as const

/** Every attempt is a pod of its own. */
export async function openDedicatedLane(): Promise<Lane> {
  return await openPodLane({ gpus: [1] })
}

async function openPodLane({ gpus }: Pick<WorldOptions, 'gpus'>): Promise<Lane> {
  const firsts = new Map<string, Behaviour>()
  const world = await createWorld({
    gpus,
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
    waiting: { ...queued, endsBecause: 'No Node is large enough' },
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

/** As many GPUs as Kueue has in its quota for the jobs of this lane. */
const quotaGpus = 4

/** The same, with Kueue: every Job begins suspended. */
export async function openQuotaLane(): Promise<Lane> {
  const lane = await openPodLane({ gpus: [quotaGpus] })
  await giveQuota(lane.world, quotaGpus)
  const returning: string[] = []
  return {
    ...lane,
    scene: {
      ...lane.scene,
      facts: async () => withoutReturns(await lane.scene.facts(), returning),
    },
    waiting: {
      is: 'False/WaitingForQuota',
      saying: 'insufficient quota',
      endsBecause: 'No pod started',
    },
    createJob: async (spec, name = 'job') => {
      const job = await createQueuedJob(lane.world, { name, ...(spec && { spec }) })
      if (name.startsWith(`${quotaKey}-`)) returning.push(`attempt ${job.metadata.uid}/1 `)
      return job
    },
  }
}

/**
 * Where a Workload is activated again while no controller lives, Kueue lets the same Job have
 * another pod. Nobody serves that one, and whoever comes ends it: to make it is not ours to
 * prevent.
 */
function withoutReturns(facts: Facts, returning: readonly string[]): Facts {
  const isReturn = (line: string) =>
    line.endsWith('has 2 pods') && returning.some((attempt) => line.startsWith(attempt))
  return { ...facts, repeated: facts.repeated.filter((line) => !isReturn(line)) }
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
    waiting: { ...queued, endsBecause: 'no ModelPool has the Model' },
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

type AnyLane = Pick<Lane, 'world' | 'giant' | 'nextNumber' | 'createJob'>

async function laneOf(world: World): Promise<AnyLane> {
  const giant = `${world.namespace}-giant`
  const spec = modelSpec({ resources: { gpus: 8, cpu: '100m', memory: '64Mi' } })
  await createObject(world.admin, models, { metadata: { name: giant }, spec })
  return { world, giant, nextNumber: startCount(), createJob: world.createJob }
}

/** For names that are not given twice. */
export function startCount(): () => number {
  let count = 0
  return () => (count += 1)
}

async function closeLane(world: World): Promise<void> {
  await world.removeModel(`${world.namespace}-giant`)
  await world.close()
}
