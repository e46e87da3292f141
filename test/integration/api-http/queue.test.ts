import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerResponse } from 'node:http'
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
} from 'vitest'
import {
  type LeaderOutcome,
  openLeader,
  type OpenLeader,
} from '../../../src/api/features/queue/leader.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import type { Condition } from '../../../src/shared/crd/common.ts'
import { jobPage, jobView } from '../../../src/shared/wire/jobs.ts'
import { explainRequest, type ExplainedJob } from '../../../src/shared/wire/queue.ts'
import { eventually } from '../../support/eventually.ts'
import { openAdminClient } from '../../support/kube.ts'
import { type FakeLeader, startFakeLeader } from './fake-leader.ts'
import { type Person, startApi, type TestApi, writeApiKubeconfig } from './harness.ts'

let folder: string
let admin: KubeClient
/** With the rights of the api's service account, and nothing more. */
let kube: KubeClient
/** Whom the api asks. */
let leader: OpenLeader
let fake: FakeLeader
let api: TestApi
/** Stands still: pauses last as long as a test says. */
let nowMs = 0
const outcomes: string[] = []
const errors: unknown[] = []

/** As the program opens it, with its timeout unless told otherwise. */
function open(changes: { readonly timeoutMs?: number } = {}): OpenLeader {
  return openLeader({
    kube,
    tokenFile: join(folder, 'token'),
    clock: { nowMs: () => nowMs },
    count: (question: string, outcome: LeaderOutcome) => outcomes.push(`${question} ${outcome}`),
    onError: (error) => errors.push(error),
    ...changes,
  })
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atelier-leader-'))
  admin = openAdminClient()
  kube = openKubeClient({
    kubeconfigPath: await writeApiKubeconfig(admin, folder),
    userAgent: 'atelier-api',
  })
  await writeFile(join(folder, 'token'), 'the-token\n')
  fake = await startFakeLeader(admin)
  // A busy machine may take longer than the program would wait.
  leader = open({ timeoutMs: 10_000 })
  api = await startApi({
    leader: {
      explain: async (question) => await leader.explain(question),
      simulate: async (question) => await leader.simulate(question),
    },
  })
})
afterAll(async () => {
  await api.close()
  await leader.close()
  await fake.close()
  await Promise.all([kube.close(), admin.close()])
  await rm(folder, { recursive: true })
})
beforeEach(async () => {
  await fake.lead()
})
afterEach(() => {
  fake.reply(() => ({ jobs: [] }))
  // What was remembered and paused is over.
  nowMs += 60_000
  outcomes.length = 0
  errors.length = 0
})

const startTime = '2026-11-21T14:30:00.000Z'
const endTime = '2026-11-21T14:30:40.000Z'

function explained(uid: string, over: Partial<ExplainedJob> = {}): ExplainedJob {
  return {
    uid,
    reason: 'DepartmentLimit',
    position: 2,
    aheadEstimate: 5,
    estimatedStartTime: startTime,
    estimatedEndTime: endTime,
    basis: 'Planned',
    ...over,
  }
}

const view = {
  reason: 'DepartmentLimit',
  position: 2,
  aheadEstimate: 5,
  estimatedStartTime: startTime,
  estimatedCompletionTime: endTime,
}
const unknown = {
  reason: 'Unknown',
  position: null,
  aheadEstimate: null,
  estimatedStartTime: null,
  estimatedCompletionTime: null,
}

async function uidOf(jobId: string): Promise<string> {
  return await eventually(async () => {
    const rows = api.core.database.native.collection<{
      _id: string
      resource: { uid: string | null }
    }>('jobs')
    const row = await rows.findOne({ _id: jobId })
    const uid = row?.resource.uid ?? null
    if (uid === null) throw new Error('it has no custom resource yet')
    return uid
  })
}

/** A job whose custom resource is known. */
async function submit(person: Person = 'mina'): Promise<{ id: string; uid: string }> {
  const id = await api.submit(person)
  return { id, uid: await uidOf(id) }
}

async function read(id: string, as: Person = 'mina') {
  const response = await api.call({ url: `/v1/jobs/${id}`, as })
  expect(response.statusCode).toBe(200)
  return jobView.parse(response.json())
}

async function setCondition(id: string, type: string, is: string): Promise<void> {
  const [status = '', reason = ''] = is.split('/')
  const condition: Condition = {
    type,
    status: status === 'True' ? 'True' : 'False',
    reason,
    message: '',
    lastTransitionTime: startTime,
  }
  await api.surroundings.setJobStatus(id, { conditions: [condition] })
  await eventually(async () => {
    const { conditions } = await read(id)
    expect(conditions).toMatchObject([{ type, reason }])
  })
}

/** Explains whatever it is asked about. */
function explainAll(): void {
  fake.reply(({ body }) => ({
    jobs: explainRequest.parse(body).uids.map((uid) => explained(uid)),
  }))
}

describe('a job that waits', () => {
  test('is explained by the controller that leads, to whom the api shows its token', async () => {
    const { id, uid } = await submit()
    explainAll()
    const before = fake.questions.length
    expect((await read(id)).queue).toEqual(view)
    expect(fake.questions.slice(before)).toEqual([
      { path: '/v1/queue/explain', authorization: 'Bearer the-token', body: { uids: [uid] } },
    ])
    expect(outcomes).toEqual(['explain Answered'])
  })

  test('is explained on its page with all others, by one question', async () => {
    const jobs = [await submit('noor'), await submit('noor'), await submit('noor')]
    explainAll()
    const before = fake.questions.length
    const response = await api.call({ url: '/v1/jobs', as: 'noor' })
    const { items } = jobPage.parse(response.json())
    expect(items.map(({ queue }) => queue)).toEqual([view, view, view])
    const [question, ...more] = fake.questions.slice(before)
    expect(more).toEqual([])
    const { uids } = explainRequest.parse(question?.body)
    expect(uids.toSorted()).toEqual(jobs.map(({ uid }) => uid).toSorted())
  })

  test('for credits or because it is suspended says so without the controller', async () => {
    const { id } = await submit()
    const all = [
      ['CreditsReserved', 'False/InsufficientCredits'],
      ['Admitted', 'False/Suspended'],
    ] as const
    for (const [type, is] of all) {
      await setCondition(id, type, is)
      outcomes.length = 0
      expect((await read(id)).queue).toEqual({ ...unknown, reason: is.split('/')[1] })
      expect(outcomes).toEqual([])
    }
  })

  test('no more has no place in the queue', async () => {
    const { id } = await submit()
    await setCondition(id, 'PodsReady', 'True/Running')
    outcomes.length = 0
    const { state, queue } = await read(id)
    expect([state, queue, outcomes]).toEqual(['Running', null, []])
  })

  test('shows nothing of the queue when it is accepted or cancelled', async () => {
    const { id } = await submit()
    const accepted = await api.call({
      method: 'POST',
      url: '/v1/jobs',
      as: 'mina',
      body: api.jobBody(),
    })
    expect(accepted.json()).not.toHaveProperty('queue')
    const before = fake.questions.length
    const cancelled = await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'mina' })
    expect(cancelled.json()).not.toHaveProperty('queue')
    expect(fake.questions).toHaveLength(before)
  })
})

/** Where a second is all there is, it may take several tries. */
async function expectExplained(id: string): Promise<void> {
  explainAll()
  await eventually(async () => {
    nowMs += 2000
    expect((await read(id)).queue).toEqual(view)
  })
}

async function expectUnknown(id: string): Promise<void> {
  expect((await read(id)).queue).toEqual(unknown)
}

describe('without a usable answer the request is answered all the same', () => {
  test.each([
    ['cut off', (response: ServerResponse) => response.destroy(), 'Silent'],
    ['not to be asked', (response: ServerResponse) => response.writeHead(403).end('{}'), 'Refused'],
    ['no JSON', (response: ServerResponse) => response.end('<html>'), 'Garbled'],
    ['of another shape', { jobs: [{ uid: 'u' }] }, 'Garbled'],
    [
      'without end',
      (response: ServerResponse) => response.end(Buffer.alloc(300_000, ' ')),
      'Silent',
    ],
  ])('that is %s, and the next ones wait for nothing', async (_, reply, outcome) => {
    const { id } = await submit()
    fake.reply(() => reply)
    await expectUnknown(id)
    const before = fake.questions.length
    explainAll()
    await expectUnknown(id)
    expect(fake.questions).toHaveLength(before)
    expect(outcomes).toEqual([`explain ${outcome}`, 'explain Paused'])
    nowMs += 2000
    expect((await read(id)).queue).toEqual(view)
  })

  test('that takes longer than a second: nobody waits for it, nor the next ones', async () => {
    const { id, uid } = await submit()
    const patient = leader
    leader = open()
    onTestFinished(async () => {
      await leader.close()
      leader = patient
    })
    // Afterwards it knows whom to ask, so that the second is the question's alone.
    await expectExplained(id)
    outcomes.length = 0
    errors.length = 0
    const answersAfterMs = 10_000
    const slow = Promise.withResolvers<'answered' | 'given up'>()
    fake.reply(() => (response) => {
      const body = JSON.stringify({ jobs: [explained(uid)] })
      const timer = setTimeout(() => {
        response.end(body)
        slow.resolve('answered')
      }, answersAfterMs)
      response.on('close', () => {
        clearTimeout(timer)
        slow.resolve('given up')
      })
    })
    const startMs = performance.now()
    await expectUnknown(id)
    const waitedMs = performance.now() - startMs
    expect(await slow.promise).toBe('given up')
    expect(errors).toMatchObject([{ name: 'TimeoutError' }])
    // A second, and whatever a busy machine adds to it: less than who waits for the answer.
    expect(waitedMs).toBeGreaterThan(900)
    expect(waitedMs).toBeLessThan(answersAfterMs)
    explainAll()
    await expectUnknown(id)
    expect(outcomes).toEqual(['explain Silent', 'explain Paused'])
    await expectExplained(id)
  })

  test('that is busy: the next one is asked at once', async () => {
    const { id } = await submit()
    fake.reply(() => (response) => response.writeHead(503).end('{}'))
    await expectUnknown(id)
    explainAll()
    expect((await read(id)).queue).toEqual(view)
    expect(outcomes).toEqual(['explain Busy', 'explain Answered'])
  })

  test('and a simulation that fails leaves the reasons of jobs alone', async () => {
    const { id } = await submit()
    fake.reply(() => (response) => response.destroy())
    const question = {
      owner: { department: 'vision', user: 'mina' },
      namespace: 'vision',
      jobs: [
        {
          task: 'TextToImage' as const,
          model: 'demo',
          loras: [],
          priority: 50,
          execution: 'Auto' as const,
          count: 1,
          work: 1,
        },
      ],
    }
    expect(await leader.simulate(question)).toBeNull()
    explainAll()
    expect((await read(id)).queue).toEqual(view)
    expect(outcomes).toEqual(['simulate Silent', 'explain Answered'])
  })

  test.each([
    ['nobody leads', { holder: '' }],
    ['the leader cannot be asked', { address: '' }],
    ['the address is none', { address: 'user@host:1/path?' }],
  ])('when %s', async (_, lease) => {
    const { id } = await submit()
    await fake.lead(lease)
    await expectUnknown(id)
    expect(outcomes).toEqual(['explain Absent'])
  })

  test('when there is no Lease, and when nobody listens where it points', async () => {
    const { id } = await submit()
    await fake.resign()
    await expectUnknown(id)
    await fake.lead({ address: '127.0.0.1:1' })
    nowMs += 2000
    await expectUnknown(id)
    expect(outcomes).toEqual(['explain Absent', 'explain Silent'])
    expect(errors).toHaveLength(1)
  })

  test('and a new leader is found when the one before is gone', async () => {
    const { id } = await submit()
    await fake.lead({ address: '127.0.0.1:1' })
    await expectUnknown(id)
    await fake.lead()
    explainAll()
    nowMs += 2000
    expect((await read(id)).queue).toEqual(view)
  })

  test('for a job that the leader does not know', async () => {
    const { id } = await submit()
    await expectUnknown(id)
    expect(outcomes).toEqual(['explain Answered'])
  })
})
