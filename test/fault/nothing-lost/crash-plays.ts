import { expect } from 'vitest'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs, pods } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob, GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import { labels } from '../../../src/shared/names.ts'
import { type CountingClient, dyingAfter } from '../../integration/controller/dying-client.ts'
import { conditionOf } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { Lane } from './crash-lanes.ts'

/** One way through the life of a job. Its key begins the names of its jobs. */
export type CrashScenario = {
  readonly key: string
  readonly name: string
  /** What the first attempt does; later ones complete. */
  readonly first: 'Completes' | 'Fails' | 'Runs'
  readonly spec?: (lane: Lane) => Partial<GenerationJobSpec>
  /** What a user does meanwhile. */
  readonly interfere?: (lane: Lane, job: GenerationJob) => Promise<void>
  /** How it ends: `status/reason` of Succeeded, or Deleted. */
  readonly end: string
  /** Pods of its own that stay: one for each attempt that was not stopped. */
  readonly pods: number
}

const cancelled = 'False/Cancelled'

/** In pods of their own and in slots of a pool. */
export const scenarios: readonly CrashScenario[] = [
  {
    key: 'retry',
    name: 'a failed attempt and a successful one',
    first: 'Fails',
    end: 'True/Completed',
    pods: 2,
  },
  {
    key: 'cancel',
    name: 'a cancel of a running attempt',
    first: 'Runs',
    interfere: async (lane, { metadata }) => {
      await lane.untilBegun(metadata.name)
      await lane.world.patchSpec(metadata.name, { cancel: true })
    },
    end: cancelled,
    pods: 0,
  },
  {
    key: 'suspend',
    name: 'an attempt that is suspended, and one that is resumed',
    first: 'Runs',
    interfere: async (lane, { metadata: { name } }) => {
      await lane.untilBegun(name)
      await lane.world.patchSpec(name, { suspend: true })
      await eventually(async () => {
        const { status } = await lane.world.getJob(name)
        expect(status?.attempt?.outcome).toBe('Suspended')
      })
      await lane.world.patchSpec(name, { suspend: false })
    },
    end: 'True/Completed',
    pods: 1,
  },
  {
    key: 'deadline',
    name: 'an attempt that runs past its deadline',
    first: 'Runs',
    interfere: async (lane, { metadata }) => {
      await lane.untilBegun(metadata.name)
      await lane.world.patchSpec(metadata.name, { activeDeadlineSeconds: 1 })
    },
    end: 'False/DeadlineExceeded',
    pods: 0,
  },
  {
    key: 'delete',
    name: 'a deletion while an attempt runs',
    first: 'Runs',
    interfere: async (lane, job) => {
      await lane.untilBegun(job.metadata.name)
      await remove(lane, job)
    },
    end: 'Deleted',
    pods: 0,
  },
]

/** For these there is no place, so it does not matter where they would have run. */
export const waitingScenarios: readonly CrashScenario[] = [
  {
    key: 'expire',
    name: 'a job that waits for a place past its time',
    first: 'Completes',
    spec: ({ giant }) => ({ modelRef: { name: giant } }),
    interfere: async (lane, { metadata }) => {
      await untilQueued(lane, metadata.name)
      await lane.world.patchSpec(metadata.name, { queueTimeoutSeconds: 1 })
    },
    end: 'False/QueueTimeout',
    pods: 0,
  },
  {
    key: 'unqueue',
    name: 'a deletion in the queue',
    first: 'Completes',
    spec: ({ giant }) => ({ modelRef: { name: giant } }),
    interfere: async (lane, job) => {
      await untilQueued(lane, job.metadata.name)
      await remove(lane, job)
    },
    end: 'Deleted',
    pods: 0,
  },
]

async function untilQueued({ world }: Lane, name: string): Promise<void> {
  await eventually(async () => {
    const job = await world.getJob(name)
    const waiting = [conditionOf(job, 'CreditsReserved'), conditionOf(job, 'Admitted')]
    expect(waiting).toEqual(['True/Reserved', 'False/Queued'])
  })
}

async function remove({ world, scene }: Lane, { metadata }: GenerationJob): Promise<void> {
  const { name, namespace } = metadata
  scene.willBeDeleted(name)
  await deleteObject(world.admin, generationJobs, { name, namespace })
}

export type Played = {
  /** Whatever does not differ from one run to the next. */
  readonly end: unknown
  /** Of the first controller. */
  readonly writes: readonly string[]
}

/** The slot of a job that was deleted while no controller lived comes back within 90 s. */
const playMs = 120_000

/**
 * Plays a scenario. Each controller is killed after so many writes and then followed by the next;
 * the last one lives on.
 */
export async function play(
  lane: Lane,
  scenario: CrashScenario,
  deaths: readonly number[],
): Promise<Played> {
  const { world } = lane
  const name = `${scenario.key}-${lane.nextNumber()}`
  lane.behave(name, scenario.first)
  const job = await world.createJob({ ...lane.spec, ...scenario.spec?.(lane) }, name)
  const over = new AbortController()
  // Nothing depends on events, which are written aside.
  const lives = [...deaths, Infinity].map((fatalWrite) =>
    dyingAfter(fatalWrite, (path) => !path.includes('/events')),
  )
  const living = live(world, lives, over.signal)
  // Told below: without a controller nothing ends.
  living.catch(() => undefined)
  try {
    await (scenario.interfere?.(lane, job) ?? lane.untilOver(scenario, name))
    const end = await untilCleared(lane, scenario, job)
    return { end, writes: lives[0]?.writes ?? [] }
  } finally {
    over.abort()
    await living
  }
}

async function live(world: World, lives: readonly CountingClient[], over: AbortSignal) {
  const isOver = new Promise<void>((resolve) => {
    over.addEventListener('abort', () => resolve(), { once: true })
  })
  for (const { wrap, died } of lives) {
    if (over.aborted) return
    const controller = await world.startController(wrap)
    await Promise.race([died, isOver])
    await controller.stop()
  }
}

/** It has ended, and nothing is at work for it any more. */
async function untilCleared(
  lane: Lane,
  scenario: CrashScenario,
  { metadata: { name, uid } }: GenerationJob,
): Promise<unknown> {
  const { world } = lane
  return await eventually(async () => {
    const job = await world.getJob(name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined
      throw error
    })
    const verdict = job === undefined ? 'Deleted' : conditionOf(job, 'Succeeded')
    expect(verdict).not.toMatch(/^(Unknown|absent)/)
    const labelSelector = `${labels.jobUid}=${uid}`
    const left = await listObjects(world.admin, pods, { namespace: world.namespace, labelSelector })
    expect(left).toHaveLength(lane.hasPool ? 0 : scenario.pods)
    expect(left.map(({ status }) => status?.phase)).not.toContain('Running')
    expect(lane.running()).toEqual([])
    return { verdict, ...endOf(job) }
  }, playMs)
}

const types = ['CreditsReserved', 'Admitted', 'ModelReady', 'PodsReady']

function endOf(job: GenerationJob | undefined) {
  if (job === undefined) return {}
  const { attempt, failedAttempts, disruptedAttempts, outputs, summary } = job.status ?? {}
  return {
    conditions: types.map((type) => conditionOf(job, type)),
    attempt: [attempt?.number, attempt?.outcome],
    failedAttempts,
    disruptedAttempts,
    outputs,
    summary,
  }
}
