import { describe, expect, it } from 'vitest'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { models, pods } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob, GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { eventually } from '../../support/eventually.ts'
import { dyingAfter } from './dying-client.ts'
import type { Behaviour } from './kubelet.ts'
import { completes, conditionOf, fails, reportWith, runs, until } from './scene.ts'
import { createWorld, type World } from './world.ts'

type EndState = {
  readonly status: Partial<GenerationJobStatus>
  readonly conditions: readonly string[]
}

const types = ['CreditsReserved', 'Admitted', 'ModelReady', 'PodsReady', 'Succeeded']

async function endStateOf(world: World): Promise<EndState> {
  const job = await untilEnded(world)
  const { failedAttempts, disruptedAttempts, outputs, summary } = job.status ?? {}
  return {
    status: { failedAttempts, disruptedAttempts, outputs, summary },
    conditions: types.map((type) => conditionOf(job, type)),
  }
}

async function untilEnded(world: World): Promise<GenerationJob> {
  return await eventually(async () => {
    const job = await world.getJob('job')
    expect(conditionOf(job, 'Succeeded')).not.toMatch(/^(Unknown|absent)/)
    return job
  })
}

type Scenario = {
  readonly name: string
  readonly behaviour: (attempt: number) => Behaviour
  /** What a user does meanwhile; may be repeated. */
  readonly interfere?: (world: World) => Promise<void>
  readonly expected: EndState
  /** Those left in the end: one for each attempt that was not stopped. */
  readonly pods: number
}

const outputs = completes.exit?.report?.outputs ?? []

const scenarios: readonly Scenario[] = [
  {
    name: 'a failed attempt and a successful one',
    behaviour: (attempt) => (attempt === 1 ? fails : completes),
    expected: {
      status: { failedAttempts: 1, outputs, summary: '1/1' },
      conditions: ['True/Reserved', 'False/Ended', 'True/Ready', 'False/Ended', 'True/Completed'],
    },
    pods: 2,
  },
  {
    name: 'a cancel of a running attempt',
    behaviour: () => runs,
    interfere: async (world) => {
      await untilStarted(world, 1)
      await world.patchSpec('job', { cancel: true })
    },
    expected: {
      status: { outputs, summary: '1/1' },
      conditions: ['True/Reserved', 'False/Ended', 'True/Ready', 'False/Ended', 'False/Cancelled'],
    },
    pods: 0,
  },
  {
    name: 'a suspended attempt and a resumed one',
    behaviour: (attempt) => (attempt === 1 ? runs : completes),
    interfere: async (world) => {
      await untilStarted(world, 1)
      await world.patchSpec('job', { suspend: true })
      await until(world, { type: 'PodsReady', is: 'False/Ended' })
      await world.patchSpec('job', { suspend: false })
    },
    expected: {
      status: { outputs, summary: '1/1' },
      conditions: ['True/Reserved', 'False/Ended', 'True/Ready', 'False/Ended', 'True/Completed'],
    },
    pods: 1,
  },
]

async function untilStarted(world: World, number: number): Promise<void> {
  await eventually(async () => {
    const { status } = await world.getJob('job')
    expect(status?.attempt).toMatchObject({ number, startTime: expect.any(String) })
  })
}

/** Plays a scenario; the controller is killed after one of its writes and started again. */
async function play({ behaviour, interfere, pods: podsLeft }: Scenario, fatalWrite: number) {
  const world = await createWorld({ behaviour })
  try {
    await world.createJob()
    const dying = dyingAfter(fatalWrite)
    const first = await world.startController(dying.wrap)
    const restart = async () => {
      await dying.died
      await first.stop()
      await world.startController()
    }
    const restarted = restart()
    const interfering = interfere?.(world)
    await Promise.race([restarted, untilEnded(world)])
    await interfering
    await eventually(async () => {
      const left = await listObjects(world.admin, pods, { namespace: world.namespace })
      expect(left).toHaveLength(podsLeft)
    })
    return { endState: await endStateOf(world), writes: dying.writes }
  } finally {
    await world.close()
  }
}

const LANES = 4

/** Most of a scenario is waiting: several worlds at a time do not disturb each other. */
async function inParallel(all: readonly number[], work: (one: number) => Promise<void>) {
  const left = [...all]
  const lane = async () => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await work(one)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

describe('a controller that is killed after any one of its writes', () => {
  it.for(scenarios)('converges: $name', { timeout: 180_000 }, async (scenario) => {
    const undisturbed = await play(scenario, Infinity)
    expect(undisturbed.endState).toEqual(scenario.expected)
    const { length } = undisturbed.writes
    const fatalWrites = Array.from({ length }, (_, index) => index + 1)
    let killed = 0
    await inParallel(fatalWrites, async (fatalWrite) => {
      const { endState, writes } = await play(scenario, fatalWrite)
      expect(endState, `killed after ${writes.at(-1)}`).toEqual(scenario.expected)
      if (writes.length === fatalWrite) killed += 1
    })
    // Two changes may become one write, so that the last kills need not happen.
    expect(killed).toBeGreaterThan(length * 0.8)
  })

  it('converges when it is killed early again and again', async () => {
    const [scenario] = scenarios
    const world = await createWorld({ behaviour: scenario?.behaviour ?? (() => completes) })
    try {
      await world.createJob()
      for (let deaths = 0; deaths < 4; deaths += 1) {
        const dying = dyingAfter(3)
        const controller = await world.startController(dying.wrap)
        await Promise.race([dying.died, untilEnded(world)])
        await controller.stop()
      }
      await world.startController()
      expect(await endStateOf(world)).toEqual(scenario?.expected)
    } finally {
      await world.close()
    }
  })
})

describe('writes', () => {
  it('of a job that succeeds at once are five status patches or fewer', async () => {
    const counting = dyingAfter(Infinity)
    const world = await createWorld({ behaviour: () => completes })
    try {
      await world.startController(counting.wrap)
      await eventually(async () => {
        const [model] = await listObjects(world.admin, models, {
          fieldSelector: `metadata.name=${world.model}`,
        })
        expect(model?.status?.conditions?.[0]?.status).toBe('True')
      })
      await world.createJob()
      await until(world, { type: 'Succeeded', is: 'True/Completed' })
      const patches = counting.writes.filter((write) =>
        write.endsWith('/generationjobs/job/status'),
      )
      expect(patches.length).toBeLessThanOrEqual(5)
      expect(counting.writes.length).toBeLessThan(12)
    } finally {
      await world.close()
    }
  })

  it('of a job that ends stay as they are: nothing more is written afterwards', async () => {
    const counting = dyingAfter(Infinity)
    const world = await createWorld({ behaviour: () => completes })
    try {
      await world.startController(counting.wrap)
      const { metadata } = await world.createJob()
      const ended = await until(world, { type: 'Succeeded', is: 'True/Completed' })
      world.api.setReport(metadata.uid, 1, reportWith('Failed'))
      await world.patchSpec('job', { cancel: true })
      const after = await eventually(async () => {
        const job = await world.getJob('job')
        expect(job.status?.observedGeneration).toBe(job.metadata.generation)
        return job
      })
      expect(after.status?.conditions).toEqual(ended.status?.conditions)
    } finally {
      await world.close()
    }
  })
})
