import { readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { resolveKubernetes } from '../../src/local/components/kubernetes-programs.ts'
import { QUEUE_CONCURRENCY } from '../../src/controller/limits.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import {
  type BenchConditions,
  type Figure,
  judge,
  type Occasion,
  printFigure,
  rangeFile,
  type RangeFile,
  withRecorded,
} from './operator/figures.ts'
import { driverParallelism } from './operator/job-load.ts'
import { parseBenchOptions, type SectionName, usage } from './operator/options.ts'
import { kueueDedicated, kueuePooled } from './operator/sections/baseline.ts'
import { click } from './operator/sections/click.ts'
import { deep } from './operator/sections/deep.ts'
import { fairness } from './operator/sections/fairness.ts'
import { kueueItself } from './operator/sections/kueue-itself.ts'
import { pods } from './operator/sections/pods.ts'
import { queuedDedicated, queuedPooled } from './operator/sections/queued.ts'
import { ready } from './operator/sections/ready.ts'
import { rest } from './operator/sections/rest.ts'
import { writes } from './operator/sections/writes.ts'
import type { Section } from './operator/stage.ts'
import { printRow, printTitle } from './print.ts'

/** `npm run bench:operator`: how much the operator does, and what it costs the API server. */
const sections: Readonly<Record<SectionName, Section>> = {
  'kueue-itself': kueueItself,
  'kueue-pooled': kueuePooled,
  'kueue-dedicated': kueueDedicated,
  'queued-pooled': queuedPooled,
  'queued-dedicated': queuedDedicated,
  rest,
  deep,
  fairness,
  click,
  writes,
  pods,
  ready,
}
const rangesPath = join(import.meta.dirname, 'operator-ranges.json')

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(
    `bench:operator: ${error instanceof Error ? error.message : String(error)}\n`,
  )
  return 1
})

async function main(): Promise<number> {
  const options = parseBenchOptions(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const ranges = rangeFile.parse(JSON.parse(readFileSync(rangesPath, 'utf8')))
  const occasion = { scale: options.scale, conditions: await readConditions() }
  printConditions(occasion)
  const figures: Figure[] = []
  for (const name of options.sections) {
    printTitle(`${sections[name].title} [${name}]`)
    const measured = await sections[name].run(options)
    for (const figure of measured) printFigure(figure, judge(figure, ranges, occasion))
    figures.push(...measured)
  }
  printRatio(figures)
  printRow('load average after', loads())
  if (options.record) record(withRecorded(ranges, figures, occasion))
  const beyond = figures.filter((figure) => judge(figure, ranges, occasion) === 'Beyond')
  if (beyond.length > 0) {
    printTitle(`Beyond the recorded run: ${beyond.map(({ key }) => key).join(', ')}`)
  }
  return beyond.length > 0 && !options.record ? 1 : 0
}

async function readConditions(): Promise<BenchConditions> {
  const programs = await resolveKubernetes(readLocalConfig(), new AbortController().signal)
  return {
    cpus: cpus().length,
    memoryGibibytes: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    kubernetes: programs.source,
  }
}

function printConditions({ scale, conditions }: Occasion): void {
  const { memoryGibibytes, node, kubernetes } = conditions
  printTitle('Conditions')
  printRow('scale', scale === 1 ? '1' : `${scale}: marks are for 1`)
  printRow('processor', `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`)
  printRow('memory', `${memoryGibibytes} GiB`)
  printRow('node', node)
  printRow('control plane', `${kubernetes}, etcd without fsync, its clients at 500 requests/s`)
  const atATime = `${QUEUE_CONCURRENCY} reconciles at a time`
  printRow('controller', `one process, no limit of requests/s, ${atATime}`)
  printRow('driver', `administrator, ${driverParallelism} requests at a time, in this process`)
  printRow('api', 'fake, in this process: every hold granted, every attempt reported as Completed')
  printRow('pods', 'simulated: they end by a timer and ask for no tokens')
  printRow('pool pods', 'simulated: fake-pool-pods in the one process of the node agent')
  printRow('but section click', 'real api, database, pods and pictures')
  printRow('load average before', loads())
}

/** Of the same shape and scale in one run: what a mark from another machine cannot tell. */
function printRatio(figures: readonly Figure[]): void {
  const rateOf = (section: SectionName) =>
    figures.find(({ key }) => key === `${section}.jobsPerSecond`)?.value
  const kueue = rateOf('kueue-itself')
  const pooled = rateOf('kueue-pooled')
  if (kueue === undefined || pooled === undefined) return
  printRow('jobs a second, pooled ÷ Kueue itself', (pooled / kueue).toFixed(2))
}

function record(ranges: RangeFile): void {
  writeFileSync(rangesPath, `${JSON.stringify(ranges, null, 2)}\n`)
  printRow('recorded in', 'test/perf/operator-ranges.json')
}

function loads(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')
}
