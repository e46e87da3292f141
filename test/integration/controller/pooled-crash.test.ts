import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { eventually } from '../../support/eventually.ts'
import { longTests } from '../../support/long.ts'
import { dyingAfter } from './dying-client.ts'
import type { RunBehaviour } from './fake-pool-pod.ts'
import { type FakePoolPods, startFakePoolPods } from './fake-pool-pods.ts'
import { poolScene } from './pool-scene.ts'
import { conditionOf, output, reportWith } from './scene.ts'
import { createWorld, type World } from './world.ts'

const completes: RunBehaviour = { report: reportWith('Completed', [output]) }
const fails: RunBehaviour = { report: reportWith('Failed') }
const runs: RunBehaviour = { stopReport: reportWith('Cancelled', [output]) }

let world: World
let pods: FakePoolPods

/** The pool is served before anybody dies: every write after that is about the job. */
beforeAll(async () => {
  world = await createWorld({ gpus: [1] })
  const { admin, api, namespace } = world
  pods = startFakePoolPods({ client: admin, api, namespace })
  const controller = await world.startController()
  const pool = poolScene(world, 'warm')
  await pool.create({ replicas: 1 })
  await pool.until('True/Ready')
  await controller.stop()
})

afterAll(async () => {
  await pods.close()
  await world.close()
})

type Scenario = {
  readonly name: string
  /** What becomes of the first attempt; later ones complete. */
  readonly first: RunBehaviour
  /** What a user does meanwhile; may be repeated. */
  readonly interfere?: (job: string) => Promise<void>
  readonly expected: readonly unknown[]
}

/** Writes as many things as the one with a suspended attempt. */
const failing: Scenario = {
  name: 'a failed attempt and a successful one',
  first: fails,
  expected: ['True/Completed', 2, 1, undefined, [output], '1/1'],
}

const scenarios: readonly Scenario[] = [
  ...(longTests ? [failing] : []),
  {
    name: 'a cancel of a running attempt',
    first: runs,
    interfere: async (job) => {
      await untilBegun(`${job}/1`)
      await world.patchSpec(job, { cancel: true })
    },
    expected: ['False/Cancelled', 1, undefined, undefined, [output], '1/1'],
  },
  {
    name: 'an attempt that is suspended and resumed',
    first: runs,
    interfere: async (job) => {
      await untilBegun(`${job}/1`)
      await world.patchSpec(job, { suspend: true })
      await eventually(async () => {
        expect((await world.getJob(job)).status?.attempt?.outcome).toBe('Suspended')
      })
      await world.patchSpec(job, { suspend: false })
    },
    expected: ['True/Completed', 2, undefined, undefined, [output], '1/1'],
  },
]

async function untilBegun(begun: string): Promise<void> {
  await eventually(() => {
    const all = pods.ready().flatMap((pod) => pod.begun)
    expect(all).toContain(begun)
    const [job = ''] = begun.split('/')
    pods.behave(job, { ...completes, ...runs })
  })
}

async function untilEnded(name: string): Promise<GenerationJob> {
  return await eventually(async () => {
    const job = await world.getJob(name)
    expect(conditionOf(job, 'Succeeded')).not.toMatch(/^(Unknown|absent)/)
    return job
  })
}

/** Plays a scenario; the controller is killed after one of its writes and started again. */
async function play({ first, interfere }: Scenario, name: string, fatalWrite: number) {
  pods.behave(name, first)
  await world.createJob({ execution: 'Pooled' }, name)
  // Nothing depends on events, which are written aside.
  const dying = dyingAfter(fatalWrite, (path) => !path.includes('/events'))
  const controllers = [await world.startController(dying.wrap)]
  const restart = async () => {
    await dying.died
    await controllers[0]?.stop()
    controllers.push(await world.startController())
  }
  const restarted = restart()
  const interfering = interfere === undefined ? completeLater(name) : interfere(name)
  await Promise.race([restarted, untilEnded(name)])
  await interfering
  const job = await untilEnded(name)
  // It may have died of its very last write: nobody may be left for the next play.
  if (dying.writes.length >= fatalWrite) await restarted
  for (const controller of controllers) await controller.stop()
  return { job, writes: dying.writes }
}

async function completeLater(name: string): Promise<void> {
  await eventually(() => {
    expect(pods.ready().flatMap((pod) => pod.begun)).toContain(`${name}/1`)
  })
  pods.behave(name, completes)
}

function endOf(job: GenerationJob): readonly unknown[] {
  const { attempt, failedAttempts, disruptedAttempts, outputs, summary } = job.status ?? {}
  const succeeded = conditionOf(job, 'Succeeded')
  return [succeeded, attempt?.number, failedAttempts, disruptedAttempts, outputs, summary]
}

describe('a controller that is killed after any one of its writes for a job in a slot', () => {
  it.for(scenarios)('converges: $name', { timeout: 120_000 }, async (scenario) => {
    const prefix = `s${scenarios.indexOf(scenario)}`
    const undisturbed = await play(scenario, `${prefix}-0`, Infinity)
    expect(endOf(undisturbed.job)).toEqual(scenario.expected)
    const { length } = undisturbed.writes
    for (let fatalWrite = 1; fatalWrite <= length; fatalWrite += 1) {
      const { job, writes } = await play(scenario, `${prefix}-${fatalWrite}`, fatalWrite)
      expect(endOf(job), `killed after ${writes.at(-1)}`).toEqual(scenario.expected)
    }
    expect(pods.violations()).toEqual([])
  })
})
