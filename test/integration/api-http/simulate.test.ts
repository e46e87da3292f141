import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Leader } from '../../../src/api/features/queue/leader.ts'
import type { SimulateAnswer, SimulateRequest } from '../../../src/shared/wire/queue.ts'
import { simulationView } from '../../../src/shared/wire/simulations.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

const startTime = '2026-11-21T14:30:00.000Z'
const endTime = '2026-11-21T14:30:40.000Z'

let api: TestApi
let asked: SimulateRequest[]
let answer: SimulateAnswer | null
/** Stands in for the controller: how it is found and asked is tested in queue.test.ts. */
const fakeLeader: Leader = {
  explain: async () => null,
  simulate: async (question) => {
    asked.push(question)
    return answer
  },
}
beforeAll(async () => {
  api = await startApi({ leader: fakeLeader })
})
afterAll(async () => {
  await api.close()
})
beforeEach(() => {
  asked = []
  answer = null
})

const simulate = async (jobs: unknown, as: Person = 'mina') =>
  await api.call({ method: 'POST', url: '/v1/simulate', as, body: { jobs } })

describe('POST /v1/simulate', () => {
  test('says what jobs cost and when they start and end, and holds and makes nothing', async () => {
    answer = {
      jobs: [
        { estimatedStartTime: startTime, estimatedEndTime: endTime },
        { estimatedStartTime: endTime, estimatedEndTime: null },
      ],
    }
    const jobs = [api.jobBody({ count: 3 }), api.jobBody({ priority: 70 })]
    const response = await simulate(jobs)
    expect(response.statusCode).toBe(200)
    expect(simulationView.parse(response.json())).toEqual({
      jobs: [
        {
          count: 3,
          price: '4.5',
          estimatedStartTime: startTime,
          estimatedCompletionTime: endTime,
        },
        {
          count: 1,
          price: '1.5',
          estimatedStartTime: endTime,
          estimatedCompletionTime: null,
        },
      ],
      price: '6',
      available: '100000',
      balanceAfter: '99994',
      startsKnown: true,
    })
    const list = await api.call({ url: '/v1/jobs', as: 'mina' })
    expect(list.json().items).toEqual([])
  })

  test('asks for the caller’s own jobs, and leaves their prompts at home', async () => {
    const { model, quality, namespace, lora } = api.surroundings
    const parameters = { prompt: 'a secret plan', steps: 10, scheduler: 'Euler', batchCount: 2 }
    const wish = api.jobBody({
      parameters: { ...parameters, loras: [{ name: lora, scale: 1 }] },
      priority: 70,
      execution: 'Pooled',
      count: 5,
    })
    await simulate([wish], 'noor')
    expect(asked).toMatchObject([
      {
        owner: { department: quality, limits: { runningJobs: expect.any(Number) } },
        namespace,
        jobs: [
          {
            task: 'TextToImage',
            model,
            loras: [lora],
            priority: 70,
            execution: 'Pooled',
            count: 5,
          },
        ],
      },
    ])
    const [question] = asked
    expect(question?.jobs[0]?.work).toBeCloseTo((64 * 64 * 10 * 2) / 1e6, 9)
    expect(JSON.stringify(question)).not.toContain('secret')
  })

  test('prices as a quote does and names what is missing, which is no error', async () => {
    const quote = await api.call({
      method: 'POST',
      url: '/v1/quotes',
      as: 'poor',
      body: api.jobBody(),
    })
    const { price, missing } = quote.json()
    const simulated = await simulate([api.jobBody()], 'poor')
    expect(simulated.json()).toMatchObject({ price, missing, balanceAfter: '-1.5' })
  })

  test.each([
    ['no controller answers', null],
    ['it answers about other jobs', { jobs: [] }],
  ])('knows no times when %s', async (_, given) => {
    answer = given
    const body = (await simulate([api.jobBody()])).json()
    expect(body).toMatchObject({
      startsKnown: false,
      price: '1.5',
      jobs: [{ estimatedStartTime: null, estimatedCompletionTime: null }],
    })
  })

  test('takes 200 jobs and not one more', async () => {
    const jobs = [api.jobBody({ count: 150 }), api.jobBody({ count: 50 })]
    expect((await simulate(jobs)).json()).toMatchObject({ price: '300' })
    const more = await simulate([...jobs, api.jobBody()])
    expect(more.json()).toMatchObject({
      status: 400,
      code: 'request.invalid',
      errors: [{ path: '/jobs', message: 'has more than 200 jobs' }],
    })
    expect(asked).toHaveLength(1)
  })

  test.each([
    ['no job', [], 'request.invalid', '/jobs'],
    ['9 kinds of jobs', Array.from({ length: 9 }, () => ({})), 'request.invalid', '/jobs'],
    ['a count of 0', [{ count: 0 }], 'request.invalid', '/jobs/0/count'],
    ['a count of 201', [{ count: 201 }], 'request.invalid', '/jobs/0/count'],
    ['a dry run', [{ dryRun: true }], 'request.invalid', '/jobs/0/dryRun'],
    [
      'a width of another kind',
      [{}, { parameters: { prompt: 'x', width: '64' } }],
      'request.invalid',
      '/jobs/1/parameters/width',
    ],
    [
      'a width that the model has not',
      [{}, { parameters: { prompt: 'x', width: 72 } }],
      'request.invalid',
      '/jobs/1/parameters/width',
    ],
    [
      'a model that there is not',
      [{}, {}, { model: 'no-such' }],
      'model.not_found',
      '/jobs/2/model',
    ],
  ])('refuses %s and names the field, and asks nobody', async (...[, changes, code, path]) => {
    const response = await simulate(changes.map((change) => api.jobBody(change)))
    expect(response.json()).toMatchObject({ code, errors: [expect.objectContaining({ path })] })
    expect(asked).toEqual([])
  })
})
