import Fastify from 'fastify'
import { expect, test } from 'vitest'
import { registerDocs, type RenderDocs } from '../../../src/api/plugins/docs.ts'

test('the reference is made once, and again after it could not be made', async () => {
  let asked = 0
  const answer = { status: 200, headers: {}, body: Buffer.from('reference') }
  const render: RenderDocs = async () => {
    asked += 1
    if (asked === 1) throw new Error('no memory')
    return { '/docs': answer, '/docs/': answer, '/docs/js/scalar.js': answer }
  }
  const app = Fastify()
  registerDocs(app, render)
  const statuses: number[] = []
  for (let time = 0; time < 3; time += 1) statuses.push((await app.inject('/docs/')).statusCode)
  expect([statuses, asked]).toEqual([[500, 200, 200], 2])
  await app.close()
})
