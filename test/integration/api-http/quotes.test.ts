import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { quoteView } from '../../../src/shared/wire/quotes.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const post = async (url: string, body: unknown, as: Person = 'mina') =>
  await api.call({ method: 'POST', url, as, body })

describe('POST /v1/quotes', () => {
  test('prices a request and binds the job that names it', async () => {
    const response = await post('/v1/quotes', api.jobBody())
    expect(response.statusCode).toBe(201)
    const quote = quoteView.parse(response.json())
    expect(quote).toMatchObject({
      price: '1.5',
      breakdown: [{ name: 'Image', quantity: '1', rate: '1.5', price: '1.5' }],
    })
    const job = await post('/v1/jobs', api.jobBody({ quote: quote.id }))
    expect([job.statusCode, job.json().cost.held]).toEqual([202, '1.5'])
  })

  test('tells the poor what is missing, and their job is refused with the same', async () => {
    const quote = await post('/v1/quotes', api.jobBody(), 'poor')
    expect([quote.statusCode, quote.json()]).toMatchObject([
      201,
      { available: '0', balanceAfter: '-1.5', missing: '1.5' },
    ])
    const job = await post('/v1/jobs', api.jobBody(), 'poor')
    expect(job.json()).toMatchObject({ status: 402, missing: '1.5' })
  })

  test.each([
    ['a quote', { quote: 'x' }, '/quote'],
    ['a dry run', { dryRun: true }, '/dryRun'],
    [
      'a width that is no number',
      { parameters: { prompt: 'x', width: '64' } },
      '/parameters/width',
    ],
  ])('refuses %s and names the field', async (_, changes, path) => {
    const response = await post('/v1/quotes', api.jobBody(changes))
    expect(response.json()).toMatchObject({
      code: 'request.invalid',
      errors: [expect.objectContaining({ path })],
    })
  })
})

describe('a job with a quote that does not hold', () => {
  test.each(['0'.repeat(26), 'x'])('%s is refused and the field is named', async (quote) => {
    const response = await post('/v1/jobs', api.jobBody({ quote }))
    expect(response.json()).toMatchObject({
      status: 422,
      code: 'quote.invalid',
      errors: [{ path: '/quote', message: 'there is no such quote' }],
    })
  })

  test.each([null, 7, '', 'a b'])('%j is no quote at all', async (quote) => {
    const response = await post('/v1/jobs', api.jobBody({ quote }))
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path: '/quote' }] })
  })
})

describe('a dry run', () => {
  test('answers 200 with a price, no address, and makes no job', async () => {
    const list = async () => (await api.call({ url: '/v1/jobs', as: 'noor' })).json().items
    const headers = { 'idempotency-key': 'dry' }
    const body = api.jobBody({ dryRun: true })
    const dry = await api.call({ method: 'POST', url: '/v1/jobs', as: 'noor', body, headers })
    expect(dry.statusCode).toBe(200)
    expect(dry.headers).not.toHaveProperty('location')
    expect(quoteView.parse(dry.json())).toMatchObject({ id: null, expiresTime: null, price: '1.5' })
    expect(await list()).toEqual([])
    const wet = { ...body, dryRun: false }
    const job = await api.call({ method: 'POST', url: '/v1/jobs', as: 'noor', body: wet, headers })
    expect([job.statusCode, job.headers['idempotency-replayed']]).toEqual([202, undefined])
  })
})
