import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { isEnded } from '../job-load.ts'
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
  execution: 'Pooled' | 'Dedicated',
  options: StageOptions,
  { scale }: Extent,
): Promise<readonly Figure[]> {
  const jobs = planAtOnce(scaled(count, scale))
  const section = execution === 'Pooled' ? 'queued-pooled' : 'queued-dedicated'
  return await onStage(options, async ({ admin, load, processorTimes }) => {
    const before = await quietWrites(admin)
    const processorBefore = processorTimes()
    const startMs = performance.now()
    await load.create(jobs, execution)
    const createdMs = performance.now()
    const times = await load.until(jobs, isEnded)
    const spent = { before: processorBefore, after: processorTimes() }
    const seconds = (Math.max(...times.map(({ endedMs }) => endedMs ?? NaN)) - startMs) / 1000
    printRow('jobs', String(jobs.length))
    printRow('all created after', `${((createdMs - startMs) / 1000).toFixed(1)} s`)
    printOutcomes(times)
    printProcessorTime({ ...spent, jobs: jobs.length, jobsPerSecond: count / argoSeconds })
    const waits = times.map((one) => (one.admittedMs ?? NaN) - one.createdMs)
    printRow('created → admitted', describeSeconds(waits))
    printWritesPerJob({ before, after: await quietWrites(admin), jobs: jobs.length })
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
