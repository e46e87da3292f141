import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type RestClient, signIn } from '../../../../src/local/rest-client.ts'
import { type KubeClient, openKubeClient } from '../../../../src/platform/kube/client.ts'
import { createObject, deleteObject, getObject } from '../../../../src/platform/kube/objects.ts'
import { generationJobs, modelPools } from '../../../../src/platform/kube/resources.ts'
import type { JobView } from '../../../../src/shared/wire/jobs.ts'
import { modelPoolSpec } from '../../../../src/shared/crd/model-pool.ts'
import { jobsNamespace } from '../../../../src/shared/names.ts'
import { startTestAtelier, type TestAtelier } from '../../../support/atelier.ts'
import { openTestFoundation } from '../../../support/foundation.ts'
import type { TestEnvironment } from '../../../support/environment.ts'
import { printRow } from '../../print.ts'
import type { Figure } from '../figures.ts'
import type { Extent, Section } from '../stage.ts'
import { describeSeconds, percentile, scaled } from '../statistics.ts'

const clicks = 50
const warmUps = 2
const steps = 20
const warmPool = { name: 'demo', namespace: jobsNamespace }
const readyTimeoutMs = 120_000

export const click: Section = {
  title: 'Click to picture: POST /v1/jobs until the bytes of the PNG are here, nothing simulated',
  run: async (extent) => {
    const foundation = await openTestFoundation()
    try {
      for (const line of foundation.descriptions) printRow('part', line)
      const atelier = await startTestAtelier(foundation.environment)
      try {
        return await measure(atelier, foundation.environment, extent)
      } finally {
        await atelier.stop()
      }
    } finally {
      await foundation.stop()
    }
  },
}

async function measure(
  atelier: TestAtelier,
  environment: TestEnvironment,
  { scale }: Extent,
): Promise<readonly Figure[]> {
  const signal = new AbortController().signal
  const member = atelier.accounts.users.find(({ role }) => role === 'department_member')
  if (member === undefined) throw new Error('there is no demo member')
  const rest = await signIn(atelier.apiUrl, member, signal)
  const wanted = scaled(clicks, scale)
  printRow('model', `models/demo, 64×64, ${steps} steps, one after the other`)
  const admin = openKubeClient({ ...environment, userAgent: 'atelier-bench' })
  const dedicated = await makePictures(rest, wanted, async (job) => {
    await requirePlace(admin, job, undefined)
  })
  printRow('a pod for each picture', describeSeconds(dedicated))
  const spec = modelPoolSpec.parse({ models: [{ name: 'demo' }], minReplicas: 1 })
  await createObject(admin, modelPools, { metadata: warmPool, spec })
  await untilReady(async () => (await getObject(admin, modelPools, warmPool)).status?.readyReplicas)
  const pooled = await makePictures(rest, wanted, async (job) => {
    await requirePlace(admin, job, warmPool.name)
  })
  printRow('a warm pool of one pod with one slot', describeSeconds(pooled))
  await deleteObject(admin, modelPools, warmPool)
  await admin.close()
  return [
    figureOf('click.pooledP50Seconds', 'click to picture, warm pool, p50', {
      times: pooled,
      mark: 1,
    }),
    figureOf('click.dedicatedP50Seconds', 'click to picture, own pod, p50', {
      times: dedicated,
      mark: 3,
    }),
  ]
}

type Measured = { readonly times: readonly number[]; readonly mark: number }

function figureOf(key: string, title: string, { times, mark }: Measured): Figure {
  return { key, title, value: percentile(times, 0.5) / 1000, unit: 's', better: 'Lower', mark }
}

/** REST does not say where a picture is to be made, so it is checked where each one was. */
async function makePictures(
  rest: RestClient,
  wanted: number,
  check: (job: JobView) => Promise<void>,
): Promise<readonly number[]> {
  for (let index = 0; index < warmUps; index += 1) await makePicture(rest, index)
  const times: number[] = []
  for (let index = 0; index < wanted; index += 1) {
    const { tookMs, job } = await makePicture(rest, index)
    await check(job)
    times.push(tookMs)
  }
  return times
}

type Picture = { readonly tookMs: number; readonly job: JobView }

async function makePicture(rest: RestClient, seed: number): Promise<Picture> {
  const startMs = performance.now()
  const parameters = { prompt: 'a photo of a scratch on metal', steps, seed }
  const request = { task: 'TextToImage', model: 'demo', parameters } as const
  let job = await rest.submit(request, randomUUID())
  for await (const next of rest.watch(job)) job = next
  const [output] = job.outputs
  if (job.state !== 'Completed' || output === undefined) {
    throw new Error(`no picture: ${job.state} ${job.reason} ${job.message}`)
  }
  await rest.download(output.url)
  return { tookMs: performance.now() - startMs, job }
}

/** `wanted`: the pool whose pod made the picture; undefined for a pod of its own. */
async function requirePlace(
  admin: KubeClient,
  { resource }: JobView,
  wanted: string | undefined,
): Promise<void> {
  if (resource === null) throw new Error('the job has no resource')
  const { status } = await getObject(admin, generationJobs, resource)
  const pool = status?.attempt?.pool
  if (status?.attempt === undefined || pool !== wanted) {
    throw new Error(`${resource.name} ran in ${pool ?? 'its own pod'}, not ${wanted ?? 'there'}`)
  }
}

async function untilReady(readyReplicas: () => Promise<number | undefined>): Promise<void> {
  const endMs = performance.now() + readyTimeoutMs
  while ((await readyReplicas()) !== 1) {
    if (performance.now() > endMs) throw new Error('the pool does not become ready')
    await pause(200)
  }
}
