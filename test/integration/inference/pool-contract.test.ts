import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe } from 'vitest'
import { FakePoolPod } from '../../../src/local/node-agent/simulation/fake-pool-pod.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { startPoolServer } from '../../../src/platform/pool-pod/server.ts'
import type { Work } from '../../../src/shared/wire/internal.ts'
import { eventually } from '../../support/eventually.ts'
import { makePack } from '../../unit/inference/pack-builder.ts'
import { demoWork } from './demo-work.ts'
import { startFakeInternalApi } from './fake-internal-api.ts'
import { openPoolCaller } from './pool-caller.ts'
import { describePoolContract, type JobLength, type PoolSubject } from './pool-contract.ts'
import { startPoolProcess } from './pool-process.ts'

type Opened = PoolSubject & { readonly close: () => Promise<void> }

const token = 'token-of-the-pod'

let jobs = 0
function nextJob() {
  jobs += 1
  return { uid: `uid-${jobs}`, jobId: String(jobs).padStart(26, '0') }
}

const work = {
  ...demoWork,
  parameters: { ...demoWork.parameters, steps: 1 },
} as const satisfies Work

async function openReal(): Promise<Opened> {
  const works = new Map<string, Work>()
  const api = await startFakeInternalApi({ work, token, workOf: (jobId) => works.get(jobId) })
  const tiny = await makePack()
  const demo = path.resolve(import.meta.dirname, '../../../models/demo')
  const packs = [
    { name: 'demo', folder: demo },
    { name: 'tiny', folder: tiny.folder },
    { name: 'spare', folder: tiny.folder },
  ]
  const pool = await startPoolProcess({ apiUrl: api.url, token, models: packs, slots: 2 })
  await eventually(async () => {
    if (!(await pool.isReady())) throw new Error(`not ready yet: ${pool.output()}`)
  })
  return {
    ...pool,
    models: { other: 'demo', endless: 'tiny', short: 'demo', spare: 'spare' },
    newJob: (length: JobLength) => {
      const job = nextJob()
      const many = { steps: 10, batchCount: 100, batchSize: 8 }
      const parameters = { ...work.parameters, ...(length === 'endless' ? many : {}) }
      works.set(job.jobId, { ...work, parameters })
      return job
    },
    drain: () => pool.signal('SIGTERM'),
    close: async () => {
      await pool.close()
      await api.close()
      await tiny.remove()
    },
  }
}

async function openFake(): Promise<Opened> {
  const models = { other: 'other', endless: 'endless', short: 'short', spare: 'spare' }
  const pod = new FakePoolPod({
    runner: 'fake-runner',
    models: Object.values(models),
    slots: 2,
    simulation: {
      seconds: 3600,
      models: { [models.short]: 0.05, [models.spare]: 0.05 },
      loadSeconds: 0,
    },
  })
  await pod.start(new AbortController().signal)
  const key = randomBytes(32)
  const server = await startPoolServer({
    listen: { host: '127.0.0.1', port: 0 },
    pool: pod,
    readKey: async () => key,
    clock: systemClock,
    newId: () => 'id-of-the-answer',
    onError: () => undefined,
  })
  const caller = await openPoolCaller(`http://127.0.0.1:${server.address.port}`, key)
  return { ...caller, models, newJob: nextJob, drain: () => pod.drain(), close: server.close }
}

describe.each([
  { name: 'a pool pod', open: openReal },
  { name: 'a fake pool pod', open: openFake },
])('$name', ({ open }) => {
  let opened: Opened
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(async () => {
    await opened.close()
  })
  describePoolContract(() => opened)
})
