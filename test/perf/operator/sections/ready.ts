import { printRow } from '../../print.ts'
import { departmentNames } from '../kueue-baseline.ts'
import { onStage, type Section } from '../stage.ts'
import { describeSeconds, scaled } from '../statistics.ts'
import { planAtOnce } from './queued.ts'

/** KubeRay: 10,000 RayClusters, created 100 a second. */
const kubeRaySeconds = 1_515
const count = 10_000
const everyMs = 10
/** Longer than the section takes: all of them run at the same time. */
const jobSeconds = 7_200

export const ready: Section = {
  title: '10,000 jobs to PodsReady, each with a pod of its own that goes on running',
  run: async ({ scale }) => {
    const jobs = planAtOnce(scaled(count, scale))
    const paced = jobs.map((job, index) => ({ ...job, dueMs: index * everyMs }))
    const options = {
      nodes: { count: Math.max(1, Math.ceil(paced.length / 60)), gpus: 64 },
      departments: departmentNames(10),
      models: [{ name: 'short', gpus: 1, seconds: jobSeconds }],
    }
    return await onStage(options, async ({ load, operator }) => {
      const startMs = performance.now()
      await load.create(paced, 'Dedicated')
      const times = await load.until(paced, ({ readyMs }) => readyMs !== undefined)
      const lastMs = Math.max(...times.map(({ readyMs }) => readyMs ?? NaN))
      printRow('jobs', String(paced.length))
      const waits = times.map((one) => (one.readyMs ?? NaN) - one.createdMs)
      printRow('created → ready', describeSeconds(waits))
      printRow('controller, resident', `${operator.residentMebibytes().toFixed(0)} MiB`)
      return [
        {
          key: 'ready.seconds',
          title: 'first created → last ready',
          value: (lastMs - startMs) / 1000,
          unit: 's',
          better: 'Lower',
          mark: kubeRaySeconds,
        },
      ]
    })
  },
}
