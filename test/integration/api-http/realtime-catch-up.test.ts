import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobRow } from '../../../src/api/features/jobs/row.ts'
import { eventually } from '../../support/eventually.ts'
import type { SocketClient } from '../../support/socket-client.ts'
import { startApi, type TestApi } from './harness.ts'
import { createRealtimeScene, jobsTold, type RealtimeScene } from './realtime-scene.ts'

const outputsCount = 1600
let api: TestApi
let scene: RealtimeScene
beforeAll(async () => {
  api = await startApi()
  const address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
  scene = createRealtimeScene(api, address)
})
afterAll(async () => {
  await api.close()
})

/** As a job of many pictures has it: a message of it has more than half a megabyte. */
async function enlarge(jobId: string): Promise<JobRow> {
  const facts = { sizeBytes: 1, width: 64, height: 64, seed: 7, contentType: 'image/png' }
  const outputs = Array.from({ length: outputsCount }, (_, index) => {
    const name = `0-${index}.png`
    return { name, key: `artifacts/${jobId}/1/${name}`, sha256: 'a'.repeat(64), ...facts }
  })
  const change = { $set: { outputs, updateTimeMs: Date.now() }, $inc: { revision: 1 } }
  const row = await api.core.database
    .documents<JobRow>('jobs')
    .findAndUpdate({ _id: jobId }, change)
  if (row === null) throw new Error('no such job')
  return row
}

/** Each client knows that state of each job, or a newer one. */
async function areTold(clients: readonly SocketClient[], rows: readonly JobRow[]): Promise<void> {
  await eventually(() => {
    for (const client of clients) {
      const views = client.of('job').map(({ data }) => data)
      const untold = rows.filter(
        ({ _id, revision }) => !views.some((view) => view.id === _id && view.revision >= revision),
      )
      expect(untold.map(({ _id }) => _id)).toEqual([])
    }
  })
}

describe('many large jobs at once', () => {
  test('reach their owner and who watches them, and end no socket', async () => {
    const jobs = await Promise.all(Array.from({ length: 6 }, () => api.submit('mina')))
    const rows = await Promise.all(jobs.map(enlarge))
    const clients = await Promise.all([scene.open('mina'), scene.open('lead')])
    for (const client of clients) client.send({ type: 'watch', jobs })
    await areTold(clients, rows)
    const changed = await Promise.all(jobs.map(enlarge))
    for (const { _id, revision, owner } of changed) {
      api.core.events.publish({ jobId: _id, revision }, owner)
    }
    await areTold(clients, changed)
    for (const client of clients) {
      client.webSocket.close(1000, 'enough')
      expect(await client.ended).toEqual({ code: 1000, reason: 'enough' })
    }
  })

  test('reach who comes back after events were lost', async () => {
    const client = await scene.open('mina')
    const jobs = await Promise.all(Array.from({ length: 6 }, () => api.submit('mina')))
    const cursor = client.cursor()
    await client.close()
    const rows = await Promise.all(jobs.map(enlarge))
    const back = await scene.open('mina', { cursor })
    await areTold([back], rows)
    back.webSocket.close(1000, 'enough')
    expect(await back.ended).toEqual({ code: 1000, reason: 'enough' })
  })
})

describe('a job that is not accepted yet', () => {
  test('is told to nobody who comes back', async () => {
    const before = Buffer.from(`since:${Date.now()}`).toString('base64url')
    const jobId = await api.submit('noor')
    const rows = api.core.database.documents<JobRow>('jobs')
    const row = await rows.findById(jobId)
    if (row === null) throw new Error('no such job')
    const _id = api.core.people.newId()
    await rows.insert({ ...row, _id, state: 'Accepting', updateTimeMs: Date.now() })
    for (const cursor of [before, Buffer.from('since:1000').toString('base64url')]) {
      const client = await scene.open('noor', { cursor })
      await eventually(() => expect(client.cursor()).not.toBe(cursor))
      expect(jobsTold(client)).toContain(jobId)
      expect(jobsTold(client)).not.toContain(_id)
      await client.close()
    }
    await rows.remove({ _id })
  })
})
