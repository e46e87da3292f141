import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { finishJobs } from '../finish-jobs.ts'
import type { Execution, JobTimes } from '../job-load.ts'
import {
  baseline,
  departmentNames,
  gpuSeconds,
  type PlannedJob,
  planBaseline,
} from '../kueue-baseline.ts'
import { type Extent, onStage, quietWrites, type Section, type StageOptions } from '../stage.ts'
import { describeSeconds } from '../statistics.ts'
import { printProcessorTime } from '../processor-time.ts'
import { printWritesPerJob } from '../write-rates.ts'

/** Published mean of its rate: 15,000 workloads in 351.1 s at 50 requests a second. */
const kueueJobsPerSecond = 42.7
const pool = { pods: 40, slots: 15 } as const

/** 600 GPUs on Nodes of 20, as many as the quotas of Kueue's 30 queues together. */
const dedicated: StageOptions = {
  nodes: { count: 30, gpus: 20 },
  departments: departmentNames(baseline.departments),
  models: baseline.classes,
}

/** 600 slots; here every job takes one, so the classes differ in their time alone. */
const pooled: StageOptions = {
  ...dedicated,
  nodes: { count: 4, gpus: 10 },
  models: baseline.classes.map((each) => ({ ...each, gpus: 1 })),
  pool: { ...pool, models: baseline.classes.map(({ name }) => name) },
}

export const kueuePooled: Section = {
  title: "Kueue's baseline shape, pooled: jobs admitted and finished",
  run: async (extent) => await measure('Pooled', pooled, extent),
}

export const kueueDedicated: Section = {
  title: "Kueue's baseline shape, dedicated pods: jobs admitted and finished",
  run: async (extent) => await measure('Dedicated', dedicated, extent),
}

async function measure(
  execution: Execution,
  options: StageOptions,
  { scale }: Extent,
): Promise<readonly Figure[]> {
  const jobs = planBaseline(scale)
  const section = execution === 'Pooled' ? 'kueue-pooled' : 'kueue-dedicated'
  return await onStage(options, async (stage) => {
    const { times, seconds, spent, writesBefore } = await finishJobs(stage, jobs, execution)
    printRow('all finished after', `${seconds.toFixed(1)} s`)
    printOutcomes(times)
    printProcessorTime({ ...spent, jobsPerSecond: kueueJobsPerSecond })
    printWaits(jobs, times)
    if (execution === 'Dedicated') printUse(jobs, seconds)
    printRow('controller, resident', `${stage.operator.residentMebibytes().toFixed(0)} MiB`)
    const after = await quietWrites(stage.admin)
    const writes = printWritesPerJob({ before: writesBefore, after, jobs: jobs.length })
    return [
      {
        key: `${section}.jobsPerSecond`,
        title: 'jobs admitted and finished',
        value: jobs.length / seconds,
        unit: '/s',
        better: 'Higher',
        mark: kueueJobsPerSecond,
      },
      {
        key: `${section}.writesPerJob`,
        title: 'writes per job, all clients',
        value: writes,
        unit: '',
        better: 'Lower',
      },
    ]
  })
}

function printWaits(jobs: readonly PlannedJob[], times: readonly JobTimes[]): void {
  for (const { name } of baseline.classes) {
    const waits = times.flatMap(({ createdMs, admittedMs }, index) => {
      return jobs[index]?.model === name ? [(admittedMs ?? NaN) - createdMs] : []
    })
    printRow(`created → admitted, ${name}`, describeSeconds(waits))
  }
}

function printUse(jobs: readonly PlannedJob[], seconds: number): void {
  const share = gpuSeconds(jobs) / (baseline.gpus * seconds)
  printRow('share of the GPUs in use, by run times', `${(share * 100).toFixed(1)} %`)
}

/** `Completed 150` and whatever else there is. */
export function printOutcomes(times: readonly JobTimes[]): void {
  const counts = new Map<string, number>()
  for (const { reason = 'none' } of times) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  printRow('ends', [...counts].map(([reason, count]) => `${reason} ${count}`).join(', '))
}
