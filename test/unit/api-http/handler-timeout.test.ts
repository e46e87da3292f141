import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterEach, expect, test } from 'vitest'
import type { ApiApp } from '../../../src/api/plugins/api-app.ts'
import { createHttpApp } from '../../../src/api/plugins/http-app.ts'

const handlerTimeout = 100
let app: ApiApp
afterEach(async () => await app.close())

async function serve(answersAfterMs: number): Promise<string> {
  app = createHttpApp({
    log: pino({ level: 'silent' }),
    publicUrl: 'http://api.test',
    newRequestId: () => 'request',
    bodyBytesMax: 1000,
  })
  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '/slow',
    handlerTimeout,
    handler: async () => {
      await sleep(answersAfterMs)
      return { done: true }
    },
  })
  return `${await app.listen({ host: '127.0.0.1', port: 0 })}/slow`
}

const requests: readonly (readonly [string, RequestInit])[] = [
  ['GET', {}],
  ['POST with a body', { method: 'POST', body: '{"a":1}' }],
  ['POST without one', { method: 'POST' }],
  ['DELETE', { method: 'DELETE' }],
]

test.each(requests)('a handler that takes too long is a 503: %s', async (_, request) => {
  const url = await serve(5 * handlerTimeout)
  const headers = request.body === undefined ? {} : { 'content-type': 'application/json' }
  const answer = await fetch(url, { ...request, headers })
  expect(answer.status).toBe(503)
  expect(await answer.json()).toMatchObject({ code: 'platform.unavailable' })
})

test.each(requests)('one that is in time answers, and its timer ends: %s', async (_, request) => {
  const url = await serve(0)
  const headers = request.body === undefined ? {} : { 'content-type': 'application/json' }
  const answer = await fetch(url, { ...request, headers })
  expect(answer.status).toBe(200)
  await sleep(2 * handlerTimeout)
})
