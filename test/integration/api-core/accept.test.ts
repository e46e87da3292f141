import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { AccountSnapshot } from '../../../src/api/features/accounts/store.ts'
import { openAccountService } from '../../../src/api/features/accounts/service.ts'
import { continueAccept } from '../../../src/api/features/jobs/accept.ts'
import { dispatchJob } from '../../../src/api/features/jobs/dispatch.ts'
import { type JobServiceDeps, openJobService } from '../../../src/api/features/jobs/service.ts'
import { getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { visibleRows } from '../../../src/shared/domain/permissions.ts'
import type { JobRequest } from '../../../src/shared/wire/job-requests.ts'
import { jobServiceDeps, openScene, perImage, type Scene, sweep } from './scene.ts'

let scene: Scene
let request: JobRequest

beforeAll(async () => {
  scene = await openScene()
  request = { task: 'TextToImage', model: scene.model, parameters: { prompt: 'a dent on metal' } }
})
afterAll(async () => await scene.close())

async function resources() {
  return await listObjects(scene.admin, generationJobs, { namespace: scene.jobsNamespace })
}

async function balance() {
  return await scene.parts.accounts.balance(scene.caller)
}

/** Does the step and then dies, as far as the caller can tell. */
function dieAfter<Args extends readonly unknown[], Result>(
  step: (...args: Args) => Promise<Result>,
) {
  return async (...args: Args): Promise<Result> => {
    await step(...args)
    throw new Error('killed')
  }
}

describe('a request that is accepted', () => {
  it('becomes a row, a hold and one custom resource with complete parameters', async () => {
    await scene.fund(5 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const before = await balance()
    const { view, replayed } = await jobs.submit(scene.caller, request)
    expect(replayed).toBe(false)
    expect(view).toMatchObject({
      state: 'Pending',
      cost: { held: '1', charged: null },
      revision: 2,
    })
    expect(view.parameters).toMatchObject({ width: 64, steps: 20, batchCount: 1 })
    expect(view.parameters.seed).toBeGreaterThanOrEqual(0)
    expect(scene.woken).toContain(view.id)
    await dispatchJob(scene.parts, view.id)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    const object = await getObject(scene.admin, generationJobs, ref)
    expect(object.spec).toMatchObject({
      jobId: view.id,
      owner: { department: scene.department, user: scene.caller.userId },
      parameters: view.parameters,
    })
    const row = await scene.parts.store.get(view.id)
    expect(row?.resource.uid).toBe(object.metadata.uid)
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits + perImage)
  })

  it('is shown to its owner and to nobody else', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    const stranger = { ...scene.caller, userId: 'somebody-else' }
    await expect(jobs.get(stranger, view.id)).rejects.toMatchObject({ code: 'job.not_found' })
    await expect(jobs.cancel(stranger, view.id)).rejects.toMatchObject({ code: 'job.not_found' })
    await expect(jobs.list(stranger, { limit: 10 })).resolves.toMatchObject({ items: [] })
    await expect(jobs.get(scene.caller, view.id)).resolves.toMatchObject({ id: view.id })
  })

  it('is listed newest first, page by page, each job once', async () => {
    await scene.fund(3 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    for (let count = 0; count < 3; count += 1) await jobs.submit(scene.caller, request)
    const all = await jobs.list(scene.caller, { limit: 100 })
    const paged: string[] = []
    let cursor: string | null | undefined
    do {
      const page = await jobs.list(scene.caller, { limit: 2, ...(cursor ? { cursor } : {}) })
      paged.push(...page.items.map(({ id }) => id))
      cursor = page.next
    } while (cursor !== null)
    expect(paged).toEqual(all.items.map(({ id }) => id))
    const times = all.items.map(({ creationTime }) => creationTime)
    expect(times).toEqual(times.toSorted().toReversed())
    const bad = jobs.list(scene.caller, { limit: 2, cursor: 'x' })
    await expect(bad).rejects.toMatchObject({ code: 'request.invalid' })
  })
})

async function isFull() {
  return { kind: 'HoldLimit' } as const
}

describe('a request that is refused', () => {
  it('for lack of credits leaves no row that could run and names what is missing', async () => {
    const poor = { ...scene.caller, userId: `poor-${scene.name}` }
    const jobs = openJobService(jobServiceDeps(scene))
    const batch = { ...request, parameters: { prompt: 'x', batchCount: 3 } }
    const options = { idempotencyKey: 'poor' }
    const submitted = jobs.submit(poor, batch, options)
    await expect(submitted).rejects.toMatchObject({
      code: 'credits.insufficient',
      details: { missing: '3', available: '0', price: '3' },
    })
    expect((await jobs.list(poor, { limit: 10 })).items).toEqual([])
    await scene.fund(3 * perImage, accountIdOf({ ...poor, user: poor.userId }))
    const again = await jobs.submit(poor, batch, options)
    expect(again).toMatchObject({ replayed: false, view: { cost: { held: '3' } } })
  })

  it.each([
    [{ width: 60 }, '/parameters/width'],
    [{ width: 256 }, '/parameters/width'],
    [{ height: 8 }, '/parameters/height'],
    [{ scheduler: 'Magic' }, '/parameters/scheduler'],
    [{ strength: 0.5 }, '/parameters/strength'],
  ])('for bad parameters %j names the field', async (parameters, path) => {
    const jobs = openJobService(jobServiceDeps(scene))
    const bad = { ...request, parameters: { prompt: 'x', ...parameters } }
    const submitted = jobs.submit(scene.caller, bad)
    await expect(submitted).rejects.toMatchObject({
      code: 'request.invalid',
      fields: [expect.objectContaining({ path })],
    })
  })

  it('for a full account says how many jobs are open and when to come again', async () => {
    const accounts = { ...scene.parts.accounts, holdWithin: isFull }
    const submitted = openJobService({ ...jobServiceDeps(scene), accounts }).submit(
      scene.caller,
      request,
    )
    await expect(submitted).rejects.toMatchObject({
      code: 'credits.queue_full',
      details: { limit: 1000, count: 1000 },
      retryAfterSeconds: 15,
    })
  })

  it('for an unknown model says so', async () => {
    const jobs = openJobService(jobServiceDeps(scene))
    const submitted = jobs.submit(scene.caller, { ...request, model: 'nowhere' })
    await expect(submitted).rejects.toMatchObject({ code: 'model.not_found' })
  })

  it('for a guest is forbidden', async () => {
    const jobs = openJobService(jobServiceDeps(scene))
    const submitted = jobs.submit({ ...scene.caller, role: 'guest' }, request)
    await expect(submitted).rejects.toMatchObject({ code: 'auth.forbidden' })
  })
})

describe('an idempotency key', () => {
  it('gives the same answer for the same body, later too', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const options = { idempotencyKey: 'same' }
    const first = await jobs.submit(scene.caller, request, options)
    await dispatchJob(scene.parts, first.view.id)
    const second = await jobs.submit(scene.caller, { ...request }, options)
    expect(second).toEqual({ view: first.view, replayed: true })
  })

  it('refuses another body and does not bind other users', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const options = { idempotencyKey: 'bound' }
    await jobs.submit(scene.caller, request, options)
    const other = { ...request, parameters: { prompt: 'another' } }
    const submitted = jobs.submit(scene.caller, other, options)
    await expect(submitted).rejects.toMatchObject({ code: 'idempotency.mismatch' })
    const neighbour = { ...scene.caller, userId: `n-${scene.name}` }
    await scene.fund(perImage, accountIdOf({ ...neighbour, user: neighbour.userId }))
    const own = await jobs.submit(neighbour, other, options)
    expect(own.replayed).toBe(false)
  })

  it('that another replica took this moment is in flight, however late its clock is', async () => {
    const deps = jobServiceDeps(scene)
    const insertKey: typeof deps.store.insertKey = async (key) => {
      const late = { ...key, jobId: 'another', createTimeMs: key.createTimeMs - 11_000 }
      await deps.store.insertKey(late)
      return await deps.store.insertKey(key)
    }
    const jobs = openJobService({ ...deps, store: { ...deps.store, insertKey } })
    const submitted = jobs.submit(scene.caller, request, { idempotencyKey: 'late clock' })
    await expect(submitted).rejects.toMatchObject({ code: 'idempotency.in_flight' })
  })

  it('makes one job of many requests at once', async () => {
    await scene.fund(20 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const before = await balance()
    const options = { idempotencyKey: 'crowd' }
    const all = Array.from({ length: 12 }, () => jobs.submit(scene.caller, request, options))
    const outcomes = await Promise.allSettled(all)
    const made = outcomes.filter((outcome) => outcome.status === 'fulfilled')
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
    const codes = refused.map(({ reason }) => z.object({ code: z.string() }).parse(reason).code)
    expect(new Set(codes)).toEqual(new Set(codes.length === 0 ? [] : ['idempotency.in_flight']))
    const ids = new Set(made.map(({ value }) => value.view.id))
    expect(ids.size).toBe(1)
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits + perImage)
  })
})

/** An account service whose ledger has not written a full outbox down yet. */
async function withFullOutbox([id, snapshot]: readonly [string, AccountSnapshot]) {
  const [entry] = [...snapshot.outbox, ...(await scene.parts.accountStore.entriesOf(id, 0))]
  if (entry === undefined) throw new Error('the account was funded')
  return [id, { ...snapshot, outbox: Array.from({ length: 5000 }, () => entry) }] as const
}

function overloadedAccounts() {
  const { accountStore } = scene.parts
  const store: typeof accountStore = {
    ...accountStore,
    readMany: async (ids) => {
      const snapshots = await accountStore.readMany(ids)
      return new Map(await Promise.all([...snapshots].map(withFullOutbox)))
    },
  }
  return openAccountService({ ...scene.parts, store, pause })
}

describe('an account that is overloaded', () => {
  it.each(['the sweep', 'the same request'])('leaves one job to %s', async (finisher) => {
    await scene.fund(2 * perImage)
    const before = await balance()
    const options = { idempotencyKey: `overload-${finisher}` }
    const overloaded = openJobService({ ...jobServiceDeps(scene), accounts: overloadedAccounts() })
    await expect(overloaded.submit(scene.caller, request, options)).rejects.toMatchObject({
      code: 'platform.unavailable',
      retryAfterSeconds: 5,
    })
    scene.clock.advance(11_000)
    if (finisher === 'the sweep') await sweep(scene)
    const jobs = openJobService(jobServiceDeps(scene))
    const again = await jobs.submit(scene.caller, request, options)
    expect(again).toMatchObject({ replayed: true, view: { state: 'Pending' } })
    scene.clock.advance(11_000)
    await sweep(scene)
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits + perImage)
    expect(await jobs.submit(scene.caller, request, options)).toMatchObject({
      view: { id: again.view.id },
    })
  })
})

describe('a crash', () => {
  const crashes: readonly (readonly [string, () => Partial<JobServiceDeps>])[] = [
    [
      'after the key',
      () => ({ store: { ...scene.parts.store, insertKey: dieAfter(scene.parts.store.insertKey) } }),
    ],
    [
      'after the row',
      () => ({ store: { ...scene.parts.store, insert: dieAfter(scene.parts.store.insert) } }),
    ],
    [
      'after the hold',
      () => ({
        accounts: {
          ...scene.parts.accounts,
          holdWithin: dieAfter(scene.parts.accounts.holdWithin),
        },
      }),
    ],
    [
      'after the row became Pending',
      () => ({ store: { ...scene.parts.store, change: dieAfter(scene.parts.store.change) } }),
    ],
  ]

  it.each(crashes)('%s leaves one job, one hold and one resource', async (name, broken) => {
    await scene.fund(5 * perImage)
    const before = await balance()
    const options = { idempotencyKey: name }
    const dying = openJobService({ ...jobServiceDeps(scene), ...broken() })
    await expect(dying.submit(scene.caller, request, options)).rejects.toThrow('killed')
    scene.clock.advance(11_000)
    await sweep(scene)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request, options)
    scene.clock.advance(11_000)
    await sweep(scene)
    await sweep(scene)
    const row = await scene.parts.store.get(view.id)
    expect(row).toMatchObject({ state: 'Pending', hold: 'Held' })
    expect(row?.resource.uid).toEqual(expect.any(String))
    const made = (await resources()).filter(({ spec }) => spec.jobId === view.id)
    expect(made).toHaveLength(1)
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits + perImage)
  })

  it('after the custom resource adopts it and never makes a second', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    const store = {
      ...scene.parts.store,
      change: async () => await Promise.reject(new Error('killed')),
    }
    await expect(dispatchJob({ ...scene.parts, store }, view.id)).rejects.toThrow('killed')
    expect((await scene.parts.store.get(view.id))?.resource.uid).toBeNull()
    scene.clock.advance(11_000)
    await sweep(scene)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    const object = await getObject(scene.admin, generationJobs, ref)
    expect((await scene.parts.store.get(view.id))?.resource.uid).toBe(object.metadata.uid)
  })

  it('of a request that was refused meanwhile does not bring its row back', async () => {
    await scene.fund(perImage)
    const { store } = scene.parts
    const dying = openJobService({
      ...jobServiceDeps(scene),
      store: { ...store, insert: dieAfter(store.insert) },
    })
    await expect(dying.submit(scene.caller, request)).rejects.toThrow('killed')
    const [stale] = await store.page({
      rows: visibleRows(scene.caller),
      state: 'Accepting',
      after: null,
      limit: 1,
    })
    if (stale === undefined) throw new Error('the row is there')
    await store.removeAccepting(stale._id)
    const before = await balance()
    const accepted = continueAccept(scene.parts, stale)
    await expect(accepted).rejects.toMatchObject({ code: 'platform.unavailable' })
    expect(await store.get(stale._id)).toBeNull()
    expect(await balance()).toEqual(before)
  })

  it('that spent the job id frees the key for the next try', async () => {
    await scene.fund(perImage)
    const { store, accounts } = scene.parts
    const options = { idempotencyKey: 'spent' }
    const dying = openJobService({
      ...jobServiceDeps(scene),
      accounts: { ...accounts, holdWithin: dieAfter(accounts.holdWithin) },
    })
    await expect(dying.submit(scene.caller, request, options)).rejects.toThrow('killed')
    const rows = visibleRows(scene.caller)
    const [row] = await store.page({ rows, state: 'Accepting', after: null, limit: 1 })
    if (row === undefined) throw new Error('the row is there')
    await store.removeAccepting(row._id)
    await accounts.void(row.accountId, row._id)
    scene.clock.advance(11_000)
    const jobs = openJobService(jobServiceDeps(scene))
    const second = jobs.submit(scene.caller, request, options)
    await expect(second).rejects.toMatchObject({ code: 'platform.unavailable' })
    const third = await jobs.submit(scene.caller, request, options)
    expect(third).toMatchObject({ replayed: false, view: { state: 'Pending' } })
    expect(third.view.id).not.toBe(row._id)
  })

  it('before the dispatch is not swept while the request may still be on its way', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await sweep(scene)
    expect((await scene.parts.store.get(view.id))?.resource.uid).toBeNull()
  })
})
