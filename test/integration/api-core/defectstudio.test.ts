import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawDigits } from '../../../src/api/features/codes/digits.ts'
import { compareOnce } from '../../../src/api/tasks/compare.ts'
import { accountLimits } from '../../../src/shared/domain/account.ts'
import { priceJob } from '../../../src/shared/domain/price.ts'
import { jobPage } from '../../../src/shared/wire/jobs.ts'
import { eventually } from '../../support/eventually.ts'
import { projectFiles } from '../../support/source-tree.ts'
import { type Person, startApi, type TestApi } from '../api-http/harness.ts'
import { codeFor, goodPassword, newAddress, wrongCode } from '../api-http/mailed-codes.ts'
import { createRealtimeScene, progress } from '../api-http/realtime-scene.ts'
import { succeeded } from '../api-http/surroundings.ts'
import { openScene, throwWarned } from './scene.ts'

/**
 * What an earlier platform of this kind got wrong: each of its ten defects is a test here, but for
 * the seventh, which is about pods: test/integration/inference/defectstudio.test.ts.
 */
let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => await api.close())

const perImage = 1_500_000
const bytes = Buffer.from('not really a picture')

async function balanceOf(person: Person) {
  const { id, department } = (await api.call({ url: '/v1/users/me', as: person })).json()
  return await api.core.accounts.balanceOf(`member:${department}:${id}`)
}

/** Ends a job as a controller would, with one picture. Nobody asks for the job meanwhile. */
async function finish(jobId: string): Promise<string> {
  const key = `artifacts/${jobId}/1/0-0.png`
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { sha256, sizeBytes: bytes.length, contentType: 'image/png' }
  await api.core.objects.put(key, Readable.from([bytes]), facts)
  const outputs = [{ name: '0-0.png', key, ...facts, width: 64, height: 64, seed: 7 }]
  const status = { conditions: [succeeded('True', 'Completed')], outputs }
  await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
  return `${jobId}.1.0-0.png`
}

const costOf = (steps: number, width: number) => {
  const parameters = { width, height: 512, steps, scheduler: 'Euler' as const }
  const job = { task: 'TextToImage' as const, parameters, family: 'StableDiffusion1' as const }
  return priceJob(job, { perMegapixelStepMicroCredits: 1_000_000 })?.microCredits ?? 0
}

/** Files of a folder whose text fits the pattern. */
function filesWith(pattern: RegExp, folder: string): readonly string[] {
  const sources = projectFiles().filter((file) => file.startsWith(folder) && file.endsWith('.ts'))
  expect(sources.length).toBeGreaterThan(20)
  return sources.filter((file) => pattern.test(readFileSync(file, 'utf8')))
}

/** Two lots on some accounts, one on the others. */
const lotsOf = (index: number) => (index % 10 === 0 ? ['a', 'b'] : ['a'])

const noJobs = async () => await Promise.resolve([])

describe('what must not happen again', () => {
  it('1: work is charged when it runs, also when nobody polls', async () => {
    const before = await balanceOf('noor')
    await finish(await api.submit('noor'))
    await eventually(async () => {
      const { spentMicroCredits } = await balanceOf('noor')
      expect(spentMicroCredits - before.spentMicroCredits).toBe(perImage)
    })
    expect((await balanceOf('noor')).heldMicroCredits).toBe(before.heldMicroCredits)
  })

  it('2: only the owner sees a job’s result, as often as they like', async () => {
    const artifact = await finish(await api.submit('mina'))
    const read = async (as: Person) =>
      (await api.call({ url: `/v1/artifacts/${artifact}`, as })).statusCode
    await eventually(async () => expect(await read('mina')).toBe(200))
    expect(await read('noor')).toBe(404)
    expect(await read('sam')).toBe(404)
    for (let again = 0; again < 3; again += 1) expect(await read('mina')).toBe(200)
    expect((await balanceOf('noor')).heldMicroCredits).toBe(0)
  })

  it('3: concurrent submits cannot overspend', async () => {
    const { id, department } = (await api.call({ url: '/v1/users/me', as: 'poor' })).json()
    const accountId = `member:${department}:${id}`
    const issue = { accountId, issueId: 'defect 3', microCredits: 3 * perImage, expiresMs: null }
    await api.core.accounts.issue(issue)
    const send = async () =>
      await api.call({ method: 'POST', url: '/v1/jobs', as: 'poor', body: api.jobBody() })
    const answers = await Promise.all(Array.from({ length: 10 }, send))
    const statuses = answers.map(({ statusCode }) => statusCode)
    expect(statuses.filter((status) => status === 202)).toHaveLength(3)
    expect(statuses.filter((status) => status === 402)).toHaveLength(7)
    expect(await balanceOf('poor')).toMatchObject({
      availableMicroCredits: 0,
      heldMicroCredits: 3 * perImage,
    })
  })

  it('4: cost follows steps and size', () => {
    expect(costOf(1, 512)).toBeGreaterThan(0)
    expect(costOf(100, 512)).toBe(100 * costOf(1, 512))
    expect(costOf(20, 1024)).toBe(2 * costOf(20, 512))
  })

  it('5: expiry reaches every lapsed lot, however many, also without members', async () => {
    const scene = await openScene()
    try {
      const { accounts, accountStore } = scene.parts
      // More than a page of 500 accounts has: departments that have nobody.
      const ids = Array.from({ length: 501 }, (_, index) => `department:empty-${index}`)
      const expiresMs = scene.clock.nowMs() + 1000
      const issues = ids.flatMap((accountId, index) =>
        lotsOf(index).map((lot) => ({
          accountId,
          issueId: `${accountId}-${lot}`,
          microCredits: 5,
          expiresMs,
        })),
      )
      await Promise.all(issues.map(async (issue) => await accounts.issue(issue)))
      scene.clock.advance(1000 + accountLimits.toleranceMs)
      const log = { warn: throwWarned }
      await compareOnce({ ...scene.parts, listJobs: noJobs, project: () => {}, log })
      const found = await accountStore.readMany(ids)
      const left = ids.map((id) => found.get(id)?.account.lots.length)
      expect(left).toEqual(ids.map(() => 0))
      const expired = ids.map((id) => found.get(id)?.account.totals.expired)
      expect(expired).toEqual(ids.map((_, index) => 5 * lotsOf(index).length))
    } finally {
      await scene.close()
    }
  })

  it('6: sign-up needs the confirmed code, from a cryptographic source', async () => {
    const email = newAddress()
    const post = async (url: string, body: object) => await api.call({ method: 'POST', url, body })
    const { quality: department } = api.surroundings
    const body = { email, password: goodPassword, name: 'Nora', department, language: 'en' }
    expect((await post('/v1/sign-ups', body)).statusCode).toBe(400)
    expect((await post('/v1/sign-ups/codes', { email, language: 'en' })).statusCode).toBe(202)
    const code = await codeFor(api, email)
    const wrong = await post('/v1/sign-ups', { ...body, code: wrongCode(code) })
    expect(wrong.json()).toMatchObject({ status: 422, code: 'code.invalid' })
    expect((await post('/v1/sign-ups', { ...body, code })).statusCode).toBe(201)
    expect(
      new Set(Array.from({ length: 200 }, () => drawDigits(randomBytes))).size,
    ).toBeGreaterThan(190)
    expect(filesWith(/Math\.random/, 'src/api/features/')).toEqual([])
  })

  it('8: nothing that crosses a process is pickled: only JSON validated by a schema', async () => {
    const id = await api.submit('mina')
    const heard: unknown[] = []
    const watch = api.core.events.onJob(id, (event) => void heard.push(event))
    const channel = `job:${id}`
    const published = { jobId: id, revision: 1 }
    for (const message of ['gASVBQAAAAAAAABLAS4=', '{"jobId":7}', JSON.stringify(published)]) {
      api.core.pubSub.publish(channel, message)
    }
    await eventually(() => expect(heard).toContainEqual(published))
    expect(heard.every((event) => typeof event === 'object' && event !== null)).toBe(true)
    expect(heard).not.toContainEqual({ jobId: 7 })
    watch.close()
    const unsafe = /from 'node:(v8|vm)'|(?<![.\w])eval\(|new Function\(/
    expect(filesWith(unsafe, 'src/')).toEqual([])
  })

  it('9: links are signed and expire; lists are paged', async () => {
    const artifact = await finish(await api.submit('mina'))
    const described = await eventually(async () => {
      const response = await api.call({ url: `/v1/artifacts/${artifact}`, as: 'mina' })
      expect(response.statusCode).toBe(200)
      return response.json()
    })
    const link = new URL(described.url)
    const read = async (search: string) =>
      (await api.call({ url: link.pathname + search })).statusCode
    expect(await read(link.search)).toBe(200)
    expect(await read('')).toBeGreaterThanOrEqual(400)
    const later = new URLSearchParams(link.search)
    expect(Number(later.get('expires'))).toBeGreaterThan(Date.now())
    later.set('expires', String(Date.now() + 10 ** 9))
    expect(await read(`?${later.toString()}`)).toBe(403)
    await api.submit('mina')
    const page = await api.call({ url: '/v1/jobs?limit=1', as: 'mina' })
    const { items, next } = jobPage.parse(page.json())
    expect(items).toHaveLength(1)
    expect(next).not.toBeNull()
  })

  it('10: a job can be cancelled and tells its progress; caps, and no GPU number', async () => {
    const address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
    const realtime = createRealtimeScene(api, address)
    const client = await realtime.open('mina')
    const jobId = await api.submit('mina')
    await realtime.publish('mina', jobId, progress(3))
    await eventually(() => expect(client.of('progress')[0]).toMatchObject({ jobId }))
    const cancel = { method: 'POST', url: `/v1/jobs/${jobId}/cancel`, as: 'mina' } as const
    expect((await api.call(cancel)).statusCode).toBe(202)
    await client.close()
    const { caps } = (await api.call({ url: '/v1/users/me/limits', as: 'mina' })).json()
    expect(caps).toMatchObject({ runningJobs: expect.any(Number), queuedJobs: expect.any(Number) })
    const prompt = 'metal'
    const over = { parameters: { prompt, batchCount: caps.imagesPerJob + 1 } }
    for (const changes of [over, { gpu: 0 }, { parameters: { prompt, gpuIndex: 0 } }]) {
      const body = api.jobBody(changes)
      const refused = await api.call({ method: 'POST', url: '/v1/jobs', as: 'mina', body })
      expect(refused.statusCode).toBe(400)
    }
  })
})
