import { scaled } from './statistics.ts'

/** A job that the driver is to create. */
export type PlannedJob = {
  readonly name: string
  readonly department: string
  readonly model: string
  readonly priority?: number
  /** When it is due, from the beginning. */
  readonly dueMs: number
}

export type JobClass = {
  readonly name: string
  readonly count: number
  readonly everyMs: number
  readonly seconds: number
  readonly gpus: number
  readonly priority: number
}

/**
 * The generator of Kueue's scheduler benchmark (test/performance/scheduler/configs/baseline):
 * 5 cohorts of 6 queues, each with these workloads and a quota of 20. Its priorities 50, 100 and
 * 200 are halved, since ours end at 100. `gpus` are its requests.
 */
export const baseline = {
  departments: 30,
  gpus: 600,
  classes: [
    { name: 'small', count: 350, everyMs: 100, seconds: 0.2, gpus: 1, priority: 25 },
    { name: 'medium', count: 100, everyMs: 500, seconds: 0.5, gpus: 5, priority: 50 },
    { name: 'large', count: 50, everyMs: 1200, seconds: 1, gpus: 20, priority: 100 },
  ],
} as const satisfies { readonly classes: readonly JobClass[] } & Record<string, unknown>

export function departmentNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `department-${index + 1}`)
}

/** All jobs of all departments in the order in which they are due. */
export function planBaseline(scale: number): readonly PlannedJob[] {
  const jobs = departmentNames(baseline.departments).flatMap((department) =>
    baseline.classes.flatMap((each) => planClass(department, each, scale)),
  )
  return jobs.toSorted((left, right) => left.dueMs - right.dueMs)
}

function planClass(department: string, each: JobClass, scale: number): readonly PlannedJob[] {
  const { name, count, everyMs, priority } = each
  return Array.from({ length: scaled(count, scale) }, (_, index) => ({
    name: `${department}-${name}-${index + 1}`,
    department,
    model: name,
    priority,
    dueMs: index * everyMs,
  }))
}

/** GPU-seconds that the jobs of this plan use. */
export function gpuSeconds(jobs: readonly PlannedJob[]): number {
  return jobs.reduce((sum, { model }) => {
    const { gpus, seconds } = baseline.classes.find(({ name }) => name === model) ?? noClass
    return sum + gpus * seconds
  }, 0)
}

const noClass = { gpus: 0, seconds: 0 }
