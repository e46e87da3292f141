import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { isEnded } from '../job-load.ts'
import { departmentNames, type PlannedJob } from '../kueue-baseline.ts'
import { type Extent, onStage, quietWrites, type Section, type Stage } from '../stage.ts'
import { describeSeconds, percentile, scaled } from '../statistics.ts'

const count = 50_000
const writesMax = 2
/** In a department of their own and one after the other, in slots that nobody else may use. */
const newcomerCount = 50
const newcomers = 'newcomers'

export const deep: Section = {
  title: '50,000 jobs of 30 departments wait for the one GPU there is, and others come',
  run: async (extent) =>
    await onStage(
      {
        nodes: { count: 2, gpus: 1 },
        departments: [...departmentNames(30), newcomers],
        models: [
          { name: 'long', gpus: 1, seconds: 86_400 },
          { name: 'short', gpus: 1, seconds: 0 },
        ],
        pool: { models: ['short'], pods: 1, slots: 1 },
      },
      async (stage) => await measure(stage, extent),
    ),
}

async function measure(stage: Stage, { scale }: Extent): Promise<readonly Figure[]> {
  const { admin, load, operator } = stage
  const jobs = plan(scaled(count, scale))
  const before = await operator.controllerWrites()
  await load.create(jobs, 'Dedicated')
  await quietWrites(admin)
  const writes = (await operator.controllerWrites()) - before
  printRow('jobs', String(jobs.length))
  const waits = await sendNewcomers(stage)
  printRow('newcomers: created → admitted', describeSeconds(waits))
  return [
    {
      key: 'deep.writesPerJob',
      title: 'writes of the controller per waiting job, Events included',
      value: writes / jobs.length,
      unit: 'writes',
      better: 'Lower',
      mark: writesMax,
    },
    {
      key: 'deep.newcomerSeconds',
      title: 'a newcomer with a free slot: created → admitted, p50',
      value: percentile(waits, 0.5) / 1000,
      unit: 's',
      better: 'Lower',
    },
    {
      key: 'deep.residentMebibytes',
      title: 'controller, resident',
      value: operator.residentMebibytes(),
      unit: 'MiB',
      better: 'Lower',
    },
  ]
}

async function sendNewcomers({ load }: Stage): Promise<readonly number[]> {
  const waits: number[] = []
  for (let index = 1; index <= newcomerCount; index += 1) {
    const job = { name: `newcomer-${index}`, department: newcomers, model: 'short', dueMs: 0 }
    await load.create([job], 'Pooled')
    const [times] = await load.until([job], isEnded)
    if (times !== undefined) waits.push((times.admittedMs ?? NaN) - times.createdMs)
  }
  return waits
}

function plan(jobs: number): readonly PlannedJob[] {
  const departments = departmentNames(30)
  return Array.from({ length: jobs }, (_, index) => {
    const department = departments[index % departments.length] ?? newcomers
    return { name: `waiting-${index + 1}`, department, model: 'long', dueMs: 0 }
  })
}
