import { expect } from 'vitest'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs, pods } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob, GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import { labels } from '../../../src/shared/names.ts'
import { setActive } from '../../integration/controller/kueue-scene.ts'
import { conditionOf, messageOf } from '../../integration/controller/scene.ts'
import { eventually } from '../../support/eventually.ts'
import type { Played, Scenario } from './crash-kills.ts'
import type { Lane } from './crash-lanes.ts'
import { isOwnWrite, outlive } from './crash-lives.ts'

/** One way through the life of a job, by the verdict of Succeeded. */
export type CrashScenario = Scenario & {
  /** Begins the names of its jobs. */
  readonly key: string
  /** What the first attempt does; later ones complete. */
  readonly first: 'Completes' | 'Fails' | 'Runs'
  readonly spec?: (lane: Lane) => Partial<GenerationJobSpec>
  /** What a user does meanwhile. */
  readonly interfere?: (lane: Lane, job: GenerationJob) => Promise<void>
  /** Pods of its own that stay: one for each attempt that was not stopped. */
  readonly pods: number
}

const cancelled = 'False/Cancelled'

const placedScenarios: readonly CrashScenario[] = [
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
  {
    key: 'ttl',
    name: 'a job that is settled, and whose time to live is over at its end',
    first: 'Completes',
    spec: () => ({ ttlSecondsAfterFinished: 0 }),
    interfere: async ({ world }, { metadata }) => {
      await Promise.resolve(world.api.setSettlement(metadata.uid, 'Settled'))
    },
    end: 'Deleted',
    pods: 0,
  },
]

const giant = (lane: Lane) => ({ modelRef: { name: lane.giant } })

/** For these there is no place. */
const waitingScenarios: readonly CrashScenario[] = [
  {
    key: 'expire',
    name: 'a job that waits for a place past its time',
    first: 'Completes',
    spec: giant,
    interfere: async (lane, { metadata }) => {
      await untilQueued(lane, metadata.name)
      await lane.world.patchSpec(metadata.name, { queueTimeoutSeconds: 1 })
      await eventually(async () => {
        const job = await lane.world.getJob(metadata.name)
        expect(messageOf(job, 'Succeeded')).toContain(lane.waiting.endsBecause)
      })
    },
    end: 'False/QueueTimeout',
    pods: 0,
  },
  {
    key: 'renounce',
    name: 'a cancel in the queue',
    first: 'Completes',
    spec: giant,
    interfere: async (lane, { metadata }) => {
      await untilQueued(lane, metadata.name)
      await lane.world.patchSpec(metadata.name, { cancel: true })
    },
    end: cancelled,
    pods: 0,
  },
  {
    key: 'unqueue',
    name: 'a deletion in the queue',
    first: 'Completes',
    spec: giant,
    interfere: async (lane, job) => {
      await untilQueued(lane, job.metadata.name)
      await remove(lane, job)
    },
    end: 'Deleted',
    pods: 0,
  },
]

/** In pods of their own, in slots of a pool and with a quota. */
export const scenarios = [...placedScenarios, ...waitingScenarios]

/** Begins the names of jobs whose Workload is deactivated for a while. */
export const quotaKey = 'quota'

/** Kueue may take back what it has given. */
export const quotaScenarios: readonly CrashScenario[] = [
  {
    key: quotaKey,
    name: 'a Workload that is deactivated under a running attempt, and activated again',
    first: 'Runs',
    interfere: async (lane, { metadata: { name, uid } }) => {
      await lane.untilBegun(name)
      await setActive(lane.world, uid, false)
      await eventually(async () => {
        const job = await lane.world.getJob(name)
        expect(conditionOf(job, 'Admitted')).toBe(lane.waiting.is)
        expect(job.status?.attempt?.startTime).toBeUndefined()
      })
      await setActive(lane.world, uid, true)
    },
    end: 'True/Completed',
    pods: 1,
  },
]

async function untilQueued({ world, waiting }: Lane, name: string): Promise<void> {
  await eventually(async () => {
    const job = await world.getJob(name)
    expect(conditionOf(job, 'CreditsReserved')).toBe('True/Reserved')
    expect(conditionOf(job, 'Admitted')).toBe(waiting.is)
    expect(messageOf(job, 'Admitted')).toContain(waiting.saying)
  })
}

async function remove({ world, scene }: Lane, { metadata }: GenerationJob): Promise<void> {
  const { name, namespace } = metadata
  scene.willBeDeleted(name)
  await deleteObject(world.admin, generationJobs, { name, namespace })
}

/** The slot of a job that was deleted while no controller lived comes back within 90 s. */
const playMs = 120_000

/** Plays a scenario with a job that is there before any controller. */
export async function play(
  lane: Lane,
  scenario: CrashScenario,
  deaths: readonly number[],
): Promise<Played> {
  const name = `${scenario.key}-${lane.nextNumber()}`
  lane.behave(name, scenario.first)
  const job = await lane.createJob({ ...lane.spec, ...scenario.spec?.(lane) }, name)
  const counts = (path: string) => isOwnWrite(lane.world, path)
  const { result, writes } = await outlive(lane.world, { deaths, counts }, async () => {
    await (scenario.interfere?.(lane, job) ?? lane.untilOver(scenario, name))
    return await untilCleared(lane, scenario, job)
  })
  return { end: result, writes }
}

/** It has ended, and nothing is at work for it any more. */
async function untilCleared(
  lane: Lane,
  scenario: CrashScenario,
  { metadata: { name, uid } }: GenerationJob,
): Promise<Played['end']> {
  const { world } = lane
  return await eventually(async () => {
    const job = await world.getJob(name).catch(unlessNotFound)
    const verdict = job === undefined ? 'Deleted' : conditionOf(job, 'Succeeded')
    // One that is to be deleted at its end has a verdict for a moment.
    expect(verdict).toMatch(scenario.end === 'Deleted' ? /^Deleted$/ : /^(True|False|Deleted)/)
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
    message: messageOf(job, 'Succeeded'),
    failedAttempts,
    disruptedAttempts,
    outputs,
    summary,
  }
}
