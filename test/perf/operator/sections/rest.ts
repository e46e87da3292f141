import { setTimeout as pause } from 'node:timers/promises'
import { readWrites } from '../../api-server-writes.ts'
import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { isEnded } from '../job-load.ts'
import type { PlannedJob } from '../kueue-baseline.ts'
import { type Extent, onStage, quietWrites, type Section, type Stage } from '../stage.ts'
import { scaled } from '../statistics.ts'
import { between, sumOf } from '../write-rates.ts'

const count = 10_000
const [restSeconds, shortSeconds] = [600, 60]
const department = 'department-1'

export const rest: Section = {
  title: '10,000 jobs at rest: half of them ended, half of them waiting for GPUs that no Node has',
  run: async (extent) =>
    await onStage(
      {
        nodes: { count: 2, gpus: 8 },
        departments: [department],
        models: [
          { name: 'ended', gpus: 1, seconds: 0 },
          { name: 'waiting', gpus: 64, seconds: 0 },
        ],
        pool: { models: ['ended'], pods: 4, slots: 16 },
      },
      async (stage) => await measure(stage, extent),
    ),
}

async function measure(stage: Stage, { scale, short }: Extent): Promise<readonly Figure[]> {
  const { admin, load, operator } = stage
  const half = scaled(count / 2, scale)
  const ended = plan('ended', half)
  await load.create(ended, 'Pooled')
  await load.until(ended, isEnded)
  await load.create(plan('waiting', half), 'Dedicated')
  const before = await quietWrites(admin)
  const controllerBefore = await operator.controllerWrites()
  const seconds = short ? shortSeconds : restSeconds
  let resident = 0
  for (let second = 0; second < seconds; second += 1) {
    await pause(1000)
    resident = Math.max(resident, operator.residentMebibytes())
  }
  const after = await readWrites(admin)
  const controllerWrites = (await operator.controllerWrites()) - controllerBefore
  printRow('jobs', `${half} ended, ${half} waiting`)
  printRow('at rest for', `${seconds} s`)
  const done = between(before.done, after.done)
  for (const [name, times] of done) printRow(`  ${name}`, String(times))
  return [
    {
      key: 'rest.writes',
      title: 'writes of all clients, without Events, Leases, Node heartbeats',
      value: sumOf(done, 'Job'),
      unit: '',
      better: 'Lower',
      mark: 0,
    },
    {
      key: 'rest.controllerWrites',
      title: 'writes of the controller, without its Lease',
      value: controllerWrites,
      unit: '',
      better: 'Lower',
      mark: 0,
    },
    {
      key: 'rest.residentMebibytes',
      title: 'controller, resident at most',
      value: resident,
      unit: 'MiB',
      better: 'Lower',
      mark: 512,
    },
  ]
}

function plan(model: string, jobs: number): readonly PlannedJob[] {
  return Array.from({ length: jobs }, (_, index) => {
    return { name: `${model}-${index + 1}`, department, model, dueMs: 0 }
  })
}
