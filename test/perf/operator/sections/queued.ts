import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { finishJobs } from '../finish-jobs.ts'
import type { Execution } from '../job-load.ts'
import { departmentNames, type PlannedJob } from '../kueue-baseline.ts'
import { type Extent, onStage, quietWrites, type Section, type StageOptions } from '../stage.ts'
import { describeSeconds, scaled } from '../statistics.ts'
import { printProcessorTime } from '../processor-time.ts'
import { printWritesPerJob } from '../write-rates.ts'
import { printOutcomes } from './baseline.ts'

/** Argo Workflows took 2 min with five shards, 5 min with one controller. */
const argoSeconds = 120
const count = 5_000
const model = { name: 'short', gpus: 1, seconds: 0.2 }
const departments = departmentNames(10)

const dedicated: StageOptions = { nodes: { count: 100, gpus: 60 }, departments, models: [model] }
const pooled: StageOptions = {
  nodes: { count: 4, gpus: 10 },
  departments,
  models: [model],
  pool: { pods: 40, slots: 15, models: [model.name] },
}

export const queuedPooled: Section = {
  title: '5,000 jobs queued at once, pooled',
  run: async (extent) => await measure('Pooled', pooled, extent),
}

export const queuedDedicated: Section = {
  title: '5,000 jobs queued at once, each with a pod of its own',
  run: async (extent) => await measure('Dedicated', dedicated, extent),
}

/** All are due at once, spread over departments. */
export function planAtOnce(jobs: number, prefix = 'job'): readonly PlannedJob[] {
  return Array.from({ length: jobs }, (_, index) => ({
    name: `${prefix}-${index + 1}`,
    department: departments[index % departments.length] ?? '',
    model: model.name,
    dueMs: 0,
  }))
}

async function measure(
  execution: Execution,
  options: StageOptions,
  { scale }: Extent,
): Promise<readonly Figure[]> {
  const jobs = planAtOnce(scaled(count, scale))
  const section = execution === 'Pooled' ? 'queued-pooled' : 'queued-dedicated'
  return await onStage(options, async (stage) => {
    const { times, seconds, spent, writesBefore } = await finishJobs(stage, jobs, execution)
    printOutcomes(times)
    printProcessorTime({ ...spent, jobsPerSecond: count / argoSeconds })
    const waits = times.map((one) => (one.admittedMs ?? NaN) - one.createdMs)
    printRow('created → admitted', describeSeconds(waits))
    const after = await quietWrites(stage.admin)
    printWritesPerJob({ before: writesBefore, after, jobs: jobs.length })
    return [
      {
        key: `${section}.seconds`,
        title: 'first created → last finished',
        value: seconds,
        unit: 's',
        better: 'Lower',
        mark: argoSeconds,
      },
    ]
  })
}
