import { systemClock } from '../../../../src/platform/clock/system-clock.ts'
import type { KubeClient } from '../../../../src/platform/kube/client.ts'
import { startListWatch } from '../../../../src/platform/kube/list-watch.ts'
import { pods as podKind } from '../../../../src/platform/kube/resources.ts'
import { printRow } from '../../print.ts'
import { departmentNames } from '../kueue-baseline.ts'
import { onStage, type Section } from '../stage.ts'
import { scaled } from '../statistics.ts'
import { printProcessorTime } from '../processor-time.ts'
import { planAtOnce } from './queued.ts'

/** 100 KWOK nodes, 10 at a time: 10,000 pods in 200 s (KubeRay #3907). */
const podsPerSecond = 50
const count = 2_000

export const pods: Section = {
  title: 'Pods created a second, from jobs that are there at once',
  run: async ({ scale }) => {
    const jobs = planAtOnce(scaled(count, scale))
    const options = {
      nodes: { count: 100, gpus: 60 },
      departments: departmentNames(10),
      // They outlast the section, as the pods of KubeRay's clusters do.
      models: [{ name: 'short', gpus: 1, seconds: 3600 }],
    }
    return await onStage(options, async ({ admin, load, processorTimes }) => {
      const seen = watchPods(admin)
      await seen.synced()
      const processorBefore = processorTimes()
      const startMs = performance.now()
      await load.create(jobs, 'Dedicated')
      const createdMs = performance.now()
      await load.until(jobs, ({ readyMs }) => readyMs !== undefined)
      const spent = { before: processorBefore, after: processorTimes() }
      await seen.stop()
      const times = seen.times()
      const lastMs = Math.max(...times)
      printRow('jobs', String(jobs.length))
      printRow('all jobs created after', `${((createdMs - startMs) / 1000).toFixed(1)} s`)
      printRow('pods', String(times.length))
      printProcessorTime({ ...spent, jobs: jobs.length, jobsPerSecond: podsPerSecond })
      return [
        {
          key: 'pods.perSecond',
          title: 'pods ÷ time from the first job to the last pod',
          value: times.length / ((lastMs - startMs) / 1000),
          unit: '/s',
          better: 'Higher',
          mark: podsPerSecond,
        },
      ]
    })
  },
}

/** When each pod was first seen. */
function watchPods(client: KubeClient) {
  const seen = new Map<string, number>()
  const watch = startListWatch({
    client,
    kind: podKind,
    clock: systemClock,
    random: Math.random,
    onChange: (key) => {
      if (!seen.has(key)) seen.set(key, performance.now())
    },
  })
  return {
    synced: async () => await watch.synced(),
    stop: async () => await watch.stop(),
    times: () => [...seen.values()],
  }
}
