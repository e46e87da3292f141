import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Controller } from '../../../src/controller/manager.ts'
import type { QueueAnswers } from '../../../src/controller/queue/desk.ts'
import { type QueueServer, startQueueServer } from '../../../src/controller/queue/server.ts'
import { kubeconfigText } from '../../../src/local/kubeconfig-text.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { addressText } from '../../../src/platform/http/listen.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import { readKubeconfig } from '../../../src/platform/kube/kubeconfig.ts'
import { openTokenReader } from '../../../src/platform/kube/token-reader.ts'
import { requestToken, reviewToken } from '../../../src/platform/kube/tokens.ts'
import {
  controllerAudience,
  internalAudience,
  serviceAccounts,
  systemNamespace,
} from '../../../src/shared/names.ts'
import { explainAnswer, type ExplainedJob, simulateAnswer } from '../../../src/shared/wire/queue.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { openAdminClient } from '../../support/kube.ts'
import type { Behaviour } from './kubelet.ts'
import { completes, runs, until } from './scene.ts'
import { createWorld, type World } from './world.ts'

let folder: string
let admin: KubeClient
/** With the rights of the controller's service account, and nothing more. */
let client: KubeClient
let apiToken: string
let answers: QueueAnswers | undefined
let server: QueueServer
const faults: unknown[] = []
const counted: string[] = []

beforeAll(async () => {
  admin = openAdminClient()
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-queue-'))
  const kubeconfigPath = path.join(folder, 'kubeconfig')
  const token = await tokenOf(serviceAccounts.controller, [])
  const access = readKubeconfig(testEnvironment().kubeconfigPath)
  await writeFile(kubeconfigPath, kubeconfigText({ ...access, user: { token } }))
  client = openKubeClient({ kubeconfigPath, userAgent: 'atelier-controller' })
  apiToken = await tokenOf(serviceAccounts.api, [controllerAudience])
  const review = async (given: string) => await reviewToken(client, given, [controllerAudience])
  server = await startQueueServer({
    listen: { host: '127.0.0.1', port: 0 },
    tokens: openTokenReader({ review, clock: systemClock }),
    answers: () => answers,
    newId: () => 'request-1',
    onAnswer: (question, status) => counted.push(`${question} ${status}`),
    onError: (error) => faults.push(error),
  })
})
afterAll(async () => {
  await server.close()
  await Promise.all([client.close(), admin.close()])
  await rm(folder, { recursive: true })
})

async function tokenOf(serviceAccount: string, audiences: readonly string[]): Promise<string> {
  const wish = { namespace: systemNamespace, serviceAccount, audiences, expirationSeconds: 3600 }
  return (await requestToken(admin, wish)).token
}

type Question = {
  readonly name?: string
  readonly method?: string
  readonly token?: string | null
  readonly body?: unknown
}

const goodBody = { uids: ['nobody'] }

async function ask({
  name = 'explain',
  method = 'POST',
  token = apiToken,
  body = goodBody,
}: Question) {
  const response = await fetch(`http://${addressText(server.address)}/v1/queue/${name}`, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(method === 'GET' ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const answered: unknown = await response.json()
  return { status: response.status, body: answered }
}

const fakeAnswers: QueueAnswers = {
  explain: async () => ({ jobs: [] }),
  simulate: async () => ({ jobs: [] }),
}

describe('who may ask about the queue', () => {
  beforeEach(() => {
    answers = fakeAnswers
  })

  it('is the api, with a token for the controller', async () => {
    expect(await ask({})).toEqual({ status: 200, body: { jobs: [] } })
    expect(counted.at(-1)).toBe('explain 200')
  })

  it.each([
    ['the api with a token for somebody else', serviceAccounts.api, internalAudience, 401],
    ['the controller itself', serviceAccounts.controller, controllerAudience, 403],
    ['any other service account', 'default', controllerAudience, 403],
  ])('is not %s', async (...[, account, audience, status]) => {
    const token = await tokenOf(account, [audience])
    for (const name of ['explain', 'simulate']) {
      expect(await ask({ name, token })).toMatchObject({ status })
    }
  })

  it.each([
    ['nobody', null, 'auth.required'],
    ['somebody with an invented token', 'a.b.c', 'auth.invalid_token'],
  ])('is not %s', async (_, token, code) => {
    expect(await ask({ token })).toMatchObject({ status: 401, body: { code } })
  })

  it('is nobody while the controller does not lead', async () => {
    answers = undefined
    const body = { code: 'platform.unavailable' }
    expect(await ask({})).toMatchObject({ status: 503, body })
    expect(await ask({ token: null })).toMatchObject({ status: 503, body })
  })
})

const someUids = (count: number) => Array.from({ length: count }, (_, index) => `u-${index}`)

describe('a question that is none', () => {
  beforeEach(() => {
    answers = fakeAnswers
  })

  it.each([
    ['is not JSON', { body: '{' }, 400],
    ['has an unknown field', { body: { uids: ['a'], jobs: [] } }, 400],
    ['names nobody', { body: { uids: [] } }, 400],
    ['names 201 jobs', { body: { uids: someUids(201) } }, 400],
    ['is too large', { body: 'x'.repeat(262_145) }, 413],
    ['is not sent', { method: 'GET' }, 405],
    ['is of another kind', { name: 'delete' }, 404],
  ])('%s', async (_, question, status) => {
    expect(await ask(question)).toMatchObject({ status, body: { status } })
  })

  it('has one job too many', async () => {
    const wanted = { task: 'TextToImage', model: 'm', loras: [], priority: 0, work: 1, count: 100 }
    const simulate = { owner: { department: 'd' }, namespace: 'n', jobs: [wanted, wanted] }
    expect(await ask({ name: 'simulate', body: simulate })).toMatchObject({ status: 200 })
    const more = { ...simulate, jobs: [...simulate.jobs, { ...wanted, count: 1 }] }
    expect(await ask({ name: 'simulate', body: more })).toMatchObject({ status: 400 })
  })

  it('is taken at its largest', async () => {
    expect(await ask({ body: { uids: someUids(200) } })).toMatchObject({ status: 200 })
  })

  it('that finds a bug is told nothing about it', async () => {
    const bug = new Error('inside')
    answers = { ...fakeAnswers, explain: async () => await Promise.reject(bug) }
    const { status, body } = await ask({})
    expect([status, JSON.stringify(body)]).toEqual([500, expect.not.stringContaining('inside')])
    expect(faults).toEqual([bug])
  })
})

const msOf = (time: string | null | undefined) => Date.parse(time ?? '')

describe('the queue of a controller', () => {
  let world: World
  let controller: Controller
  afterEach(async () => {
    await world.close()
  })

  async function explain(...names: readonly string[]): Promise<Record<string, ExplainedJob>> {
    const jobs = await Promise.all(names.map((name) => world.getJob(name)))
    const uids = jobs.map(({ metadata }) => metadata.uid)
    const { body } = await ask({ body: { uids } })
    const found = explainAnswer.parse(body).jobs.map((job) => [names[uids.indexOf(job.uid)], job])
    return Object.fromEntries(found)
  }

  const parameters = { prompt: 'a test', width: 64, height: 64, steps: 20 }
  const wanted = { task: 'TextToImage', loras: [], priority: 30, work: 0.08, count: 2 }

  it('is explained and simulated with measured times, also after a restart', async () => {
    const behaviours = new Map<string, Behaviour>()
    world = await createWorld({ behaviour: (_, job) => behaviours.get(job) ?? completes })
    controller = await world.startController()
    answers = controller.queue()
    await world.createJob({ parameters }, 'done')
    await until(world, { name: 'done', type: 'Succeeded', is: 'True/Completed' })
    behaviours.set('runs', runs)
    await world.createJob({ parameters }, 'runs')
    await until(world, { name: 'runs', type: 'PodsReady', is: 'True/Running' })
    await world.createJob({ parameters, priority: 60 }, 'next')
    await world.createJob({ parameters, priority: 40 }, 'last')
    for (const name of ['next', 'last']) {
      await until(world, { name, type: 'Admitted', is: 'False/Queued' })
    }
    const check = async () => {
      const found = await explain('next', 'runs', 'last', 'done')
      const waiting = { reason: 'WaitingForGpu', basis: 'Planned' }
      expect(found).toMatchObject({
        next: { ...waiting, position: 1, aheadEstimate: 0 },
        last: { ...waiting, position: 2, aheadEstimate: 1 },
      })
      expect(Object.keys(found).toSorted()).toEqual(['last', 'next'])
      const [next, last] = [found['next'], found['last']]
      expect(next?.estimatedStartTime).not.toBeNull()
      expect(msOf(next?.estimatedEndTime)).toBeLessThanOrEqual(msOf(last?.estimatedStartTime) + 10)
      return last?.estimatedEndTime
    }
    const lastEndTime = await eventually(check)
    const jobs = [
      { ...wanted, model: world.model },
      { ...wanted, model: 'there-is-none' },
    ]
    const request = { owner: { department: world.namespace }, namespace: world.namespace, jobs }
    const simulated = await ask({ name: 'simulate', body: request })
    const [times, unknown] = simulateAnswer.parse(simulated.body).jobs
    // Computed a moment later from the same times, to the millisecond.
    expect(msOf(times?.estimatedStartTime)).toBeGreaterThanOrEqual(msOf(lastEndTime) - 10)
    expect(times?.estimatedEndTime).not.toBeNull()
    expect(unknown).toEqual({ estimatedStartTime: null, estimatedEndTime: null })
    await controller.stop()
    controller = await world.startController()
    answers = controller.queue()
    await eventually(check)
  })

  it('knows no time before a job has ended, and why a job fits nowhere', async () => {
    world = await createWorld({ behaviour: () => runs })
    controller = await world.startController()
    answers = controller.queue()
    await world.createJob({ parameters }, 'runs')
    await until(world, { name: 'runs', type: 'PodsReady', is: 'True/Running' })
    await world.createJob({ parameters, execution: 'Pooled' }, 'poolless')
    await world.createJob({ parameters }, 'waits')
    const unknown = { estimatedStartTime: null, estimatedEndTime: null, basis: 'Unknown' }
    await eventually(async () => {
      expect(await explain('poolless', 'waits')).toMatchObject({
        poolless: { ...unknown, reason: 'NoMatchingGpu' },
        waits: { ...unknown, reason: 'WaitingForGpu' },
      })
    })
  })
})
