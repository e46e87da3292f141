import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { runLogged } from '../../../../src/local/bootstrap/steps.mjs'
import { goSettings } from '../../../../src/local/components/go-settings.ts'
import {
  type CommandLine,
  resolveKubernetes,
} from '../../../../src/local/components/kubernetes-programs.ts'
import { childEnvironment } from '../../../../src/platform/config/environment.ts'
import { readLocalConfig } from '../../../../src/platform/config/local.ts'
import { type KueueBenchmark, resolveKueueBenchmark } from '../../../support/kueue/program.ts'
import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import type { Section } from '../stage.ts'
import { scaled } from '../statistics.ts'

const generator = z.object({
  cohorts: z.array(
    z.looseObject({
      queuesSets: z.array(
        z.looseObject({ workloadsSets: z.array(z.looseObject({ count: z.int() })) }),
      ),
    }),
  ),
})
const time = z.iso.datetime()
const summary = z.object({
  clusterQueueClasses: z.object({ cq: z.object({ firstEventTime: time, lastEventTime: time }) }),
  workloadClasses: z.record(z.string(), z.object({ count: z.int() })),
})

/**
 * Kueue's own benchmark (test/performance/scheduler of its module) with its runner, its scheduler
 * and its objects, on the API server and etcd that our sections use. It has neither Jobs nor pods:
 * the runner ends the Workloads.
 */
export const kueueItself: Section = {
  title: "Kueue itself: its own scheduler benchmark of the baseline's shape",
  run: async ({ scale }) => {
    const kueue = await resolveKueueBenchmark()
    const folder = await mkdtemp(join(tmpdir(), 'atelier-kueue-bench-'))
    try {
      return [await measure(kueue, { folder, scale })]
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

type Extent = { readonly folder: string; readonly scale: number }

async function measure(kueue: KueueBenchmark, extent: Extent): Promise<Figure> {
  await runBenchmark(kueue, extent)
  const text = await readFile(join(extent.folder, 'summary.yaml'), 'utf8')
  const { clusterQueueClasses, workloadClasses } = summary.parse(parse(text))
  const { firstEventTime, lastEventTime } = clusterQueueClasses.cq
  const seconds = (Date.parse(lastEventTime) - Date.parse(firstEventTime)) / 1000
  const jobs = Object.values(workloadClasses).reduce((sum, { count }) => sum + count, 0)
  printRow('workloads', String(jobs))
  printRow('all finished after', `${seconds.toFixed(1)} s`)
  const title = 'workloads admitted and finished'
  return {
    key: 'kueue-itself.jobsPerSecond',
    title,
    value: jobs / seconds,
    unit: '/s',
    better: 'Higher',
  }
}

async function runBenchmark(kueue: KueueBenchmark, { folder, scale }: Extent): Promise<void> {
  const shape = join(folder, 'generator.yaml')
  await writeFile(shape, stringify(await scaledShape(kueue, scale)))
  const options = {
    '-o': folder,
    '-crds': join(kueue.folder, 'config/components/crd/bases'),
    '-generatorConfig': shape,
    '-minimalKueue': kueue.minimalKueue,
    '-timeout': '30m',
  }
  await runLogged({
    command: kueue.runner,
    args: Object.entries(options).flat(),
    cwd: folder,
    environment: childEnvironment({
      ...goSettings({ durable: false }),
      KUBEBUILDER_ASSETS: await writeAssets(folder),
      // Its test utilities look for a Makefile in vain.
      PROJECT_DIR: kueue.folder,
    }),
    logFile: join(folder, 'runner.log'),
    signal: new AbortController().signal,
  })
}

async function scaledShape({ folder }: KueueBenchmark, scale: number): Promise<unknown> {
  const path = join(folder, 'test/performance/scheduler/configs/baseline/generator.yaml')
  const { cohorts } = generator.parse(parse(await readFile(path, 'utf8')))
  const sets = cohorts.flatMap(({ queuesSets }) => queuesSets)
  for (const workloads of sets.flatMap(({ workloadsSets }) => workloadsSets)) {
    workloads.count = scaled(workloads.count, scale)
  }
  return { cohorts }
}

/** Programs as controller-runtime's envtest wants them. */
async function writeAssets(folder: string): Promise<string> {
  const programs = await resolveKubernetes(readLocalConfig(), new AbortController().signal)
  const assets = join(folder, 'assets')
  await mkdir(assets)
  const write = async (name: string, line: CommandLine) => {
    const text = `#!/bin/sh\nexec ${line.map((part) => `'${part}'`).join(' ')} "$@"\n`
    await writeFile(join(assets, name), text, { mode: 0o755 })
  }
  await write('etcd', programs.etcd)
  await write('kube-apiserver', programs['kube-apiserver'])
  return assets
}
