import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accountIdOf, type Caller } from '../../../src/shared/domain/caller.ts'
import { type JobService, openJobService } from '../../../src/api/features/jobs/service.ts'
import {
  createQuoteService,
  quoteLifeMs,
  type QuoteService,
} from '../../../src/api/features/quotes/service.ts'
import { forgetQuotesTask } from '../../../src/api/features/quotes/store.ts'
import { mergePatch } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import { defaultTierCaps } from '../../../src/shared/domain/membership.ts'
import type { JobRequest } from '../../../src/shared/wire/job-requests.ts'
import { eventually } from '../../support/eventually.ts'
import { jobServiceDeps, openScene, perImage, type Scene } from './scene.ts'

let scene: Scene
let quotes: QuoteService
let jobs: JobService
let request: JobRequest
let people = 0

beforeAll(async () => {
  scene = await openScene()
  const deps = jobServiceDeps(scene)
  jobs = openJobService(deps)
  quotes = createQuoteService({ ...deps, quotes: scene.parts.quotes })
  request = { task: 'TextToImage', model: scene.model, parameters: { prompt: 'a dent' } }
})
afterAll(async () => await scene.close())

/** Somebody new with this many credits. */
async function person(credits: number): Promise<Caller> {
  people += 1
  const caller = { ...scene.caller, userId: `p${people}-${scene.name}` }
  const { department, userId: user } = caller
  if (credits > 0) await scene.fund(credits * perImage, accountIdOf({ department, user }))
  return caller
}

async function setPrice(perImageMicroCredits: number): Promise<void> {
  const patch = { spec: { price: { perImageMicroCredits } } }
  await mergePatch(scene.admin, models, { name: scene.model, patch })
  await eventually(() => {
    const { price } = scene.parts.caches.models.lister.get(scene.model)?.spec ?? {}
    expect(price).toEqual({ perImageMicroCredits })
  })
}

async function quoteIdFor(caller: Caller, wish = request): Promise<string> {
  const { id } = await quotes.create(caller, wish)
  if (id === null) throw new Error('a quote has an id')
  return id
}

function batchOf(batchCount: number): JobRequest {
  return { task: 'TextToImage', model: scene.model, parameters: { prompt: 'a dent', batchCount } }
}

async function traces(caller: Caller) {
  const { department, userId: user } = caller
  const { heldMicroCredits } = await scene.parts.accounts.balanceOf(
    accountIdOf({ department, user }),
  )
  const { items } = await jobs.list(caller, { limit: 10 })
  const keys = await scene.parts.database.documents('idempotencyKeys').count({}, 1000)
  const quoted = await scene.parts.database.documents('quotes').count({}, 1000)
  return { heldMicroCredits, jobs: items.length, keys, quoted }
}

describe('a quote', () => {
  it('says what a job costs and what it leaves, and holds nothing', async () => {
    const caller = await person(10)
    const quote = await quotes.create(caller, batchOf(3))
    expect(quote).toEqual({
      id: expect.stringMatching(/^[0-9a-z]{26}$/),
      price: '3',
      breakdown: [{ name: 'Image', quantity: '3', rate: '1', price: '3' }],
      available: '10',
      balanceAfter: '7',
      expiresTime: expect.any(String),
    })
    expect(Date.parse(quote.expiresTime ?? '') - scene.clock.nowMs()).toBeGreaterThan(590_000)
    expect(await traces(caller)).toMatchObject({ heldMicroCredits: 0, jobs: 0 })
  })

  it('says what is missing instead of refusing', async () => {
    const quote = await quotes.create(await person(2), batchOf(3))
    expect(quote).toMatchObject({ available: '2', balanceAfter: '-1', missing: '1' })
    expect(await quotes.create(await person(3), batchOf(3))).not.toHaveProperty('missing')
  })

  it('is refused like the job itself, naming the field', async () => {
    const caller = await person(0)
    const wide = { ...request, parameters: { prompt: 'x', width: 256 } }
    await expect(quotes.create(caller, wide)).rejects.toMatchObject({
      code: 'request.invalid',
      fields: [{ path: '/parameters/width' }],
    })
    const unknown = quotes.create(caller, { ...request, model: 'nowhere' })
    await expect(unknown).rejects.toMatchObject({ code: 'model.not_found' })
    const guest = quotes.create({ ...caller, role: 'guest' }, request)
    await expect(guest).rejects.toMatchObject({ code: 'auth.forbidden' })
  })

  it('is forgotten some time after it expired, and not before', async () => {
    const id = await quoteIdFor(await person(0))
    const { quotes: store } = scene.parts
    const now = { ms: scene.clock.nowMs() + quoteLifeMs }
    const task = forgetQuotesTask({ quotes: store, clock: { nowMs: () => now.ms } })
    await task.run()
    expect(await store.find(id)).not.toBeNull()
    now.ms += 3_600_001
    await task.run()
    expect(await store.find(id)).toBeNull()
  })
})

describe('a job that names a quote', () => {
  it('costs what was quoted although its Model became dearer, once and again', async () => {
    const caller = await person(10)
    const quote = await quoteIdFor(caller)
    await setPrice(5 * perImage)
    try {
      for (let count = 0; count < 2; count += 1) {
        const { view } = await jobs.submit(caller, request, { quote })
        expect(view.cost).toMatchObject({ held: '1', basis: { images: 1, modelCalls: 20 } })
      }
      expect(await jobs.dryRun(caller, request, { quote })).toMatchObject({
        price: '1',
        breakdown: [{ rate: '1', price: '1' }],
      })
      const { view } = await jobs.submit(caller, request)
      expect(view.cost.held).toBe('5')
    } finally {
      await setPrice(perImage)
    }
  })

  it('costs less when its Model became cheaper', async () => {
    const caller = await person(1)
    const quote = await quoteIdFor(caller)
    await setPrice(perImage / 4)
    try {
      const { view } = await jobs.submit(caller, request, { quote })
      expect(view.cost.held).toBe('0.25')
    } finally {
      await setPrice(perImage)
    }
  })

  it('is refused and named when the quote is unknown, foreign or for another request', async () => {
    const caller = await person(10)
    const quote = await quoteIdFor(caller)
    const foreign = await quoteIdFor(await person(0))
    const invalid = { code: 'quote.invalid', fields: [expect.objectContaining({ path: '/quote' })] }
    const moved = { ...caller, department: 'elsewhere' }
    const tries = [
      async () => await jobs.submit(caller, request, { quote: '0'.repeat(26) }),
      async () => await jobs.submit(caller, request, { quote: foreign }),
      async () => await jobs.submit(caller, batchOf(2), { quote }),
      async () => await jobs.submit(caller, { ...request, priority: 7 }, { quote }),
      async () => await jobs.submit(moved, request, { quote }),
      async () => await jobs.dryRun(caller, batchOf(2), { quote }),
    ]
    for (const one of tries) await expect(one()).rejects.toMatchObject(invalid)
    expect(await traces(caller)).toMatchObject({ heldMicroCredits: 0, jobs: 0 })
  })

  it('is the job of its Idempotency-Key also after the quote has expired', async () => {
    const caller = await person(10)
    const quote = await quoteIdFor(caller)
    const late = await quoteIdFor(caller)
    const options = { idempotencyKey: 'quoted', quote }
    const first = await jobs.submit(caller, request, options)
    scene.clock.advance(quoteLifeMs)
    const again = await jobs.submit(caller, request, options)
    expect(again).toMatchObject({ replayed: true, view: { id: first.view.id } })
    const other = jobs.submit(caller, request, { ...options, quote: late })
    await expect(other).rejects.toMatchObject({ code: 'idempotency.mismatch' })
    const expired = jobs.submit(caller, request, { idempotencyKey: 'new', quote: late })
    await expect(expired).rejects.toMatchObject({ code: 'quote.invalid' })
    const without = await jobs.submit(caller, request, { idempotencyKey: 'new' })
    expect(without.replayed).toBe(false)
  })
})

describe('a dry run', () => {
  it('answers like a quote that binds nobody, and writes nothing', async () => {
    const caller = await person(1)
    const before = await traces(caller)
    expect(await jobs.dryRun(caller, batchOf(3))).toEqual({
      id: null,
      price: '3',
      breakdown: [{ name: 'Image', quantity: '3', rate: '1', price: '3' }],
      available: '1',
      balanceAfter: '-2',
      missing: '2',
      expiresTime: null,
    })
    expect(await traces(caller)).toEqual(before)
  })

  it('is refused for what a submit is refused for', async () => {
    const caller = await person(1)
    const wide = { ...request, parameters: { prompt: 'x', width: 256 } }
    await expect(jobs.dryRun(caller, wide)).rejects.toMatchObject({ code: 'request.invalid' })
    const guest = jobs.dryRun({ ...caller, role: 'guest' }, request)
    await expect(guest).rejects.toMatchObject({ code: 'auth.forbidden' })
  })

  it('keeps the limit of open jobs, which a quote does not know', async () => {
    const { queuedJobs } = defaultTierCaps.Free
    const caller = await person(queuedJobs + 1)
    for (let open = 0; open < queuedJobs; open += 1) {
      if (open === queuedJobs - 1) await jobs.dryRun(caller, request)
      await jobs.submit(caller, request)
    }
    const refusal = {
      code: 'limit.queued_jobs',
      details: { limit: queuedJobs, count: queuedJobs, running: 0, queued: queuedJobs },
    }
    await expect(jobs.dryRun(caller, request)).rejects.toMatchObject(refusal)
    await expect(jobs.submit(caller, request)).rejects.toMatchObject(refusal)
    await quotes.create(caller, request)
    // Whoever moves leaves their jobs to the old account, and begins anew with another.
    const moved = { ...caller, department: `${scene.department}-new` }
    await jobs.dryRun(moved, request)
  })
})
