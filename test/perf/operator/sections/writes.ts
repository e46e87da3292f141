import { isEnded } from '../job-load.ts'
import { departmentNames } from '../kueue-baseline.ts'
import { onStage, quietWrites, type Section } from '../stage.ts'
import { scaled } from '../statistics.ts'
import { printProcessorTime } from '../processor-time.ts'
import { printWritesPerJob } from '../write-rates.ts'
import { planAtOnce } from './queued.ts'

/** Argo Workflows: about 43 for a workflow of one pod, derived from its published figures. */
const argoWrites = 43
const writesMax = 10
const count = 1_000
const everyMs = 10

export const writes: Section = {
  title: `Writes per finished pooled job, 100 jobs a second (Argo ≈ ${argoWrites})`,
  run: async ({ scale }) => {
    const jobs = planAtOnce(scaled(count, scale))
    const paced = jobs.map((job, index) => ({ ...job, dueMs: index * everyMs }))
    const options = {
      nodes: { count: 1, gpus: 8 },
      departments: departmentNames(10),
      models: [{ name: 'short', gpus: 1, seconds: 0.2 }],
      pool: { models: ['short'], pods: 4, slots: 16 },
    }
    return await onStage(options, async ({ admin, load, processorTimes }) => {
      const before = await quietWrites(admin)
      const processorBefore = processorTimes()
      await load.create(paced, 'Pooled')
      await load.until(paced, isEnded)
      const spent = { before: processorBefore, after: processorTimes() }
      printProcessorTime({ ...spent, jobs: paced.length })
      const after = await quietWrites(admin)
      const value = printWritesPerJob({ before, after, jobs: paced.length })
      return [
        {
          key: 'writes.perPooledJob',
          title: 'sum, with the creation of the job',
          value,
          unit: 'writes',
          better: 'Lower',
          mark: writesMax,
        },
      ]
    })
  },
}
