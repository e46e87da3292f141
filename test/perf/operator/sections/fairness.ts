import { setTimeout as pause } from 'node:timers/promises'
import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import { isEnded, type JobTimes } from '../job-load.ts'
import type { PlannedJob } from '../kueue-baseline.ts'
import { type Extent, onStage, type Section, type Stage } from '../stage.ts'
import { describeSeconds, scaled } from '../statistics.ts'

const heavyCount = 9_000
const lightCount = 10
const seconds = 1
/** The heavy department has the slots to itself for so long, which counts as its use. */
const aloneMs = 5_000
/** Fewer than light jobs, so that they have to wait for each other, too. */
const slotCounts = [1, 2] as const

/**
 * With one slot the department that has used less goes first. With two each department has one,
 * and the ten take twice as long as alone and up to one job more: no mark is for that.
 */
export const fairness: Section = {
  title: 'A department with 9,000 jobs beside one with 10',
  run: async (extent) => {
    const figures: Figure[] = []
    for (const slots of slotCounts) {
      const options = {
        nodes: { count: 1, gpus: 1 },
        departments: ['alone', 'heavy', 'light'],
        models: [{ name: 'job', gpus: 1, seconds }],
        pool: { models: ['job'], pods: 1, slots },
      }
      figures.push(
        ...(await onStage(options, async (stage) => await measure(stage, slots, extent))),
      )
    }
    return figures
  },
}

async function measure(
  { load }: Stage,
  slots: number,
  { scale }: Extent,
): Promise<readonly Figure[]> {
  const solo = plan('alone', lightCount)
  await load.create(solo, 'Pooled')
  const alone = waitsOf(await load.until(solo, isEnded))
  const heavy = plan('heavy', scaled(heavyCount, scale))
  await load.create(heavy, 'Pooled')
  await pause(aloneMs)
  const light = plan('light', lightCount)
  await load.create(light, 'Pooled')
  const beside = waitsOf(await load.until(light, ({ admittedMs }) => admittedMs !== undefined))
  printRow('jobs of the heavy department', String(heavy.length))
  printRow('10 jobs alone: created → started', describeSeconds(alone))
  printRow('10 jobs beside them: created → started', describeSeconds(beside))
  return [
    {
      key: `fairness.lastRatio${slots}`,
      title: `${slots} slots: wait of the last of the 10, beside ÷ alone`,
      value: Math.max(...beside) / Math.max(...alone),
      unit: '',
      better: 'Lower',
      ...(slots === 1 ? { mark: 2 } : {}),
    },
    {
      key: `fairness.firstSeconds${slots}`,
      title: `${slots} slots: wait of the first of the 10; a job takes 1 s`,
      value: Math.min(...beside) / 1000,
      unit: 's',
      better: 'Lower',
      mark: seconds,
    },
  ]
}

function waitsOf(times: readonly JobTimes[]): readonly number[] {
  return times.map(({ createdMs, admittedMs }) => (admittedMs ?? NaN) - createdMs)
}

function plan(department: string, jobs: number): readonly PlannedJob[] {
  return Array.from({ length: jobs }, (_, index) => {
    return { name: `${department}-${index + 1}`, department, model: 'job', dueMs: 0 }
  })
}
