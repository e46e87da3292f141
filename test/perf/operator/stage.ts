import { setTimeout as pause } from 'node:timers/promises'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { readWrites, type WriteCounts } from '../api-server-writes.ts'
import { printRow } from '../print.ts'
import { type BenchCluster, openBenchCluster } from './cluster.ts'
import type { Figure } from './figures.ts'
import { type JobLoad, openJobLoad } from './job-load.ts'
import { type ProcessorTimes, readProcessorTimes } from './processor-time.ts'
import { createDepartments, createModels, createPool, type PoolDraft } from './objects.ts'
import { type BenchOperator, startOperator } from './operator.ts'
import { between, sumOf } from './write-rates.ts'

/** How large a section is to be. */
export type Extent = { readonly scale: number; readonly short: boolean }

export type Section = {
  readonly title: string
  readonly run: (extent: Extent) => Promise<readonly Figure[]>
}

export type StageOptions = {
  readonly nodes: { readonly count: number; readonly gpus: number }
  readonly departments: readonly string[]
  readonly models: readonly {
    readonly name: string
    readonly gpus: number
    /** How long a job takes. */
    readonly seconds: number
  }[]
  /** Absent: every job has a pod of its own. */
  readonly pool?: PoolDraft
}

/** Everything that a section needs, in a cluster of its own. */
export type Stage = {
  readonly admin: KubeClient
  readonly operator: BenchOperator
  readonly load: JobLoad
  readonly processorTimes: () => ProcessorTimes
}

/** Opens a stage for this work, prints what it consists of, and closes it. */
export async function onStage<T>(
  options: StageOptions,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const cluster = await openBenchCluster()
  try {
    const load = await openJobLoad(cluster.admin)
    try {
      const processorTimes = () => readProcessorTimes(cluster.supervisor.processes)
      return await work({ ...(await setUp(cluster, options)), load, processorTimes })
    } finally {
      await load.stop()
    }
  } finally {
    await cluster.stop()
  }
}

async function setUp(
  cluster: BenchCluster,
  options: StageOptions,
): Promise<Pick<Stage, 'admin' | 'operator'>> {
  const { admin } = cluster
  const { nodes, departments, models, pool } = options
  await createDepartments(admin, departments)
  await createModels(admin, models)
  const seconds = Object.fromEntries(models.map((model) => [model.name, model.seconds]))
  const operator = await startOperator(cluster, { nodes, seconds })
  printRow('simulated Nodes × GPUs', `${nodes.count} × ${nodes.gpus}`)
  printRow('departments of equal weight', String(departments.length))
  const times = models.map(({ name, gpus, seconds: time }) => `${name} ${time} s ${gpus} GPU`)
  printRow('simulated Models', times.join(', '))
  if (pool === undefined) return { admin, operator }
  const startMs = performance.now()
  await createPool(admin, pool)
  const took = ((performance.now() - startMs) / 1000).toFixed(1)
  printRow('fake-pool-pods × slots', `${pool.pods} × ${pool.slots}, ready in ${took} s`)
  return { admin, operator }
}

const quietMs = 2_000
const quietTriesMax = 300

/** The writes so far, read when nothing but heartbeats and Events has come for two seconds. */
export async function quietWrites(admin: KubeClient): Promise<WriteCounts> {
  let known = await readWrites(admin)
  for (let index = 0; index < quietTriesMax; index += 1) {
    await pause(quietMs)
    const now = await readWrites(admin)
    if (sumOf(between(known.done, now.done), 'Job') === 0) return now
    known = now
  }
  throw new Error('the cluster does not come to rest')
}
