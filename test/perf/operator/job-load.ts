import { setTimeout as pause } from 'node:timers/promises'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { startListWatch } from '../../../src/platform/kube/list-watch.ts'
import { createObject } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import { type GenerationJob, generationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import type { PlannedJob } from './kueue-baseline.ts'

/** Requests of the driver that are under way at a time. */
export const driverParallelism = 32
/** A load of which nothing moves for so long has failed. */
const stallMs = 60_000
const lookMs = 20

/** When the driver saw what of a job; ms of `performance.now()`. */
export type JobTimes = {
  /** Its creation was asked for. */
  readonly createdMs: number
  /** `Admitted=True`: a place was found for it. */
  readonly admittedMs?: number
  /** `PodsReady=True`. */
  readonly readyMs?: number
  readonly endedMs?: number
  /** Reason and message of its end. */
  readonly reason?: string
  readonly message?: string
}

export type JobLoad = {
  /** Creates jobs at their due times; resolves when all of them are created. */
  readonly create: (jobs: readonly PlannedJob[], execution: Execution) => Promise<void>
  /**
   * Resolves when this holds of every one of these jobs; fails when nothing moves any more, and as
   * soon as one of them has ended without its pictures: that is no figure.
   */
  readonly until: (
    jobs: readonly PlannedJob[],
    holds: (times: JobTimes) => boolean,
  ) => Promise<readonly JobTimes[]>
  readonly stop: () => Promise<void>
}
export type Execution = 'Pooled' | 'Dedicated'

export const isEnded = ({ endedMs }: JobTimes): boolean => endedMs !== undefined

/** Creates jobs as an administrator and watches all of them. */
export async function openJobLoad(admin: KubeClient): Promise<JobLoad> {
  const times = new Map<string, JobTimes>()
  let changes = 0
  const watch = startListWatch({
    client: admin,
    kind: generationJobs,
    clock: systemClock,
    random: Math.random,
    onChange: (key) => {
      const job = watch.lister.get(key)
      const { name } = job?.metadata ?? { name: '' }
      const known = times.get(name)
      if (job === undefined || known === undefined) return
      changes += 1
      times.set(name, withSeen(known, job, performance.now()))
    },
  })
  await watch.synced()
  return {
    create: async (jobs, execution) => {
      const startMs = performance.now()
      const queue = jobs.values()
      const work = async () => {
        for (const job of queue) {
          const waitMs = startMs + job.dueMs - performance.now()
          if (waitMs > 1) await pause(waitMs)
          times.set(job.name, { createdMs: performance.now() })
          await createObject(admin, generationJobs, draftOf(job, execution))
        }
      }
      await Promise.all(Array.from({ length: driverParallelism }, work))
    },
    until: async (jobs, holds) => {
      const timesOf = () =>
        jobs.map(({ name }) => completing(name, times.get(name) ?? { createdMs: NaN }))
      await untilAll(() => count(timesOf(), holds), { jobs: jobs.length, changes: () => changes })
      return timesOf()
    },
    stop: async () => await watch.stop(),
  }
}

/** The same times, unless the job has ended in any way but a good one. */
export function completing(name: string, times: JobTimes): JobTimes {
  const { endedMs, reason = 'without a reason', message = '' } = times
  if (endedMs === undefined || reason === 'Completed') return times
  throw new Error(`${name} has ended ${reason}: ${message}`)
}

function count(all: readonly JobTimes[], holds: (times: JobTimes) => boolean): number {
  return all.reduce((sum, one) => sum + (holds(one) ? 1 : 0), 0)
}

type Progress = { readonly jobs: number; readonly changes: () => number }

async function untilAll(done: () => number, { jobs, changes }: Progress): Promise<void> {
  let known = { changes: changes(), sinceMs: performance.now() }
  for (;;) {
    const now = done()
    if (now === jobs) return
    if (changes() !== known.changes) known = { changes: changes(), sinceMs: performance.now() }
    if (performance.now() - known.sinceMs > stallMs) {
      throw new Error(`nothing moves any more: ${now} of ${jobs} jobs are where they are to be`)
    }
    // Looking costs as much as there are jobs.
    await pause(Math.max(lookMs, jobs / 100))
  }
}

/** Each first time counts. Who has ended has been everything that leads there. */
export function withSeen(known: JobTimes, { status }: GenerationJob, nowMs: number): JobTimes {
  const conditions = status?.conditions ?? []
  const isTrue = (name: string) =>
    conditions.some(({ type, status: value }) => type === name && value === 'True')
  const end = conditions.find(
    ({ type, status: value }) => type === 'Succeeded' && value !== 'Unknown',
  )
  if (end !== undefined) {
    const { reason, message } = end
    const all = { admittedMs: nowMs, readyMs: nowMs, endedMs: nowMs, reason, message }
    return { ...all, ...known }
  }
  return {
    ...(isTrue('Admitted') && { admittedMs: nowMs }),
    ...(isTrue('PodsReady') && { readyMs: nowMs }),
    ...known,
  }
}

function draftOf({ name, department, model, priority }: PlannedJob, execution: Execution) {
  return {
    metadata: { name, namespace: department },
    spec: generationJobSpec.parse({
      owner: { department },
      task: 'TextToImage',
      modelRef: { name: model },
      parameters: { prompt: 'a load' },
      execution,
      priority,
    }),
  }
}
