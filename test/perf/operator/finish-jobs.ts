import { printRow } from '../print.ts'
import type { WriteCounts } from '../api-server-writes.ts'
import { type Execution, isEnded, type JobTimes } from './job-load.ts'
import type { PlannedJob } from './kueue-baseline.ts'
import type { ProcessorSpan } from './processor-time.ts'
import { quietWrites, type Stage } from './stage.ts'

export type FinishedJobs = {
  readonly times: readonly JobTimes[]
  /** From the first creation to the last end. */
  readonly seconds: number
  readonly spent: ProcessorSpan
  readonly writesBefore: WriteCounts
}

/** Creates jobs at their due times on a stage at rest, and waits until all of them have ended. */
export async function finishJobs(
  { admin, load, processorTimes }: Stage,
  jobs: readonly PlannedJob[],
  execution: Execution,
): Promise<FinishedJobs> {
  const writesBefore = await quietWrites(admin)
  const before = processorTimes()
  const startMs = performance.now()
  await load.create(jobs, execution)
  const createdMs = performance.now()
  const times = await load.until(jobs, isEnded)
  const spent = { before, after: processorTimes(), jobs: jobs.length }
  const seconds = (Math.max(...times.map(({ endedMs }) => endedMs ?? NaN)) - startMs) / 1000
  printRow('jobs', String(jobs.length))
  printRow('all created after', `${((createdMs - startMs) / 1000).toFixed(1)} s`)
  return { times, seconds, spent, writesBefore }
}
