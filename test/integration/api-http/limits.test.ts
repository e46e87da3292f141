import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import { getObject } from '../../../src/platform/kube/objects.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { defaultTierCaps, type Membership } from '../../../src/shared/domain/membership.ts'
import { limitsView, settingsView } from '../../../src/shared/wire/settings.ts'
import { eventually } from '../../support/eventually.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { succeeded } from './surroundings.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const submit = async (as: Person, changes = {}, headers: Record<string, string> = {}) =>
  await api.call({ method: 'POST', url: '/v1/jobs', as, headers, body: api.jobBody(changes) })

const limitsOf = async (as: Person) =>
  limitsView.parse((await api.call({ url: '/v1/users/me/limits', as })).json())

const settings = async () =>
  settingsView.parse((await api.call({ url: '/v1/settings', as: 'root' })).json())

async function change(values: object): Promise<void> {
  const { revision } = await settings()
  const body = { revision, values }
  const response = await api.call({ method: 'PATCH', url: '/v1/settings', as: 'root', body })
  expect([response.statusCode, response.body]).toEqual([200, expect.anything()])
}

async function idOf(person: Person): Promise<string> {
  const response = await api.call({ url: '/v1/users/me', as: person })
  return String(response.json().id)
}

async function setMembership(person: Person, membership: Membership): Promise<void> {
  const facts = {
    action: 'user.membership_changed',
    target: { kind: 'User', id: '', department: null },
  } as const
  const by = 'test'
  const changed = await api.core.people.directory.change(await idOf(person), {
    set: { membership },
    by,
    facts,
  })
  expect(changed).not.toBeNull()
}

/** Ends every open job of a person as a controller would. */
async function finishAll(person: Person): Promise<void> {
  const status = { conditions: [succeeded('True', 'Completed')], outputs: [] }
  for (const id of await openJobs(person)) {
    await eventually(async () => await api.surroundings.setJobStatus(id, status))
  }
  await eventually(async () => expect(await openJobs(person)).toEqual([]))
}

async function openJobs(person: Person): Promise<string[]> {
  const ids: string[] = []
  for (const state of ['Pending', 'Running']) {
    const response = await api.call({ url: `/v1/jobs?state=${state}&limit=100`, as: person })
    const { items } = response.json() as { items: { id: string; owner: { user: string } }[] }
    ids.push(...items.map(({ id }) => id))
  }
  return ids
}

const running: GenerationJobStatus = {
  conditions: [
    {
      type: 'PodsReady',
      status: 'True',
      reason: 'PodsReady',
      message: '',
      lastTransitionTime: '2026-11-21T14:00:00Z',
      observedGeneration: 1,
    },
  ],
}

describe('the settings of the site', () => {
  test('are for super admins only', async () => {
    for (const as of ['mina', 'lead', 'gast'] as const) {
      const read = await api.call({ url: '/v1/settings', as })
      const body = { revision: 0, values: {} }
      const changed = await api.call({ method: 'PATCH', url: '/v1/settings', as, body })
      expect([read.statusCode, changed.statusCode]).toEqual([403, 403])
    }
  })

  test('change what is named, count at once and are written to the audit log', async () => {
    const before = await settings()
    await change({ tiers: { Standard: { queuedJobs: 301 } }, guestDays: 4 })
    const after = await settings()
    expect(after.revision).toBe(before.revision + 1)
    expect(after.values.tiers.Standard).toEqual({
      ...before.values.tiers.Standard,
      queuedJobs: 301,
    })
    expect((await api.core.people.settings()).guestDays).toBe(4)
    const [entry] = await api.core.people.auditLog.page({ action: 'settings.changed', limit: 1 })
    expect(entry).toMatchObject({
      before: { 'tiers.Standard.queuedJobs': 300, guestDays: 3 },
      after: { 'tiers.Standard.queuedJobs': 301, guestDays: 4 },
    })
  })

  test('that somebody else changed meanwhile are not overwritten; one of two wins', async () => {
    const { revision } = await settings()
    const patch = async (guestDays: number) =>
      await api.call({
        method: 'PATCH',
        url: '/v1/settings',
        as: 'root',
        body: { revision, values: { guestDays } },
      })
    const answers = await Promise.all([patch(5), patch(6)])
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([200, 409]))
    const stale = await patch(7)
    expect(stale.json()).toMatchObject({ code: 'settings.changed', revision: revision + 1 })
  })

  test('that change nothing keep their revision', async () => {
    const before = await settings()
    await change({ guestDays: before.values.guestDays })
    expect((await settings()).revision).toBe(before.revision)
  })

  test.each([
    [{ tiers: { Free: { runningJobs: 0 } } }, '/values/tiers/Free/runningJobs'],
    [{ tiers: { Free: { runningJobs: 600, queuedJobs: 401 } } }, '/values/tiers/Free/queuedJobs'],
    [{ tokenSeconds: 1 }, '/values/tokenSeconds'],
    [{ overLimit: { $ne: 'Queue' } }, '/values/overLimit'],
  ])('refuse %j', async (values, path) => {
    const { revision } = await settings()
    const body = { revision, values }
    const response = await api.call({ method: 'PATCH', url: '/v1/settings', as: 'root', body })
    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toMatchObject([{ path }])
  })
})

describe('the caps of a membership', () => {
  test('are told, also to a guest, with what is used', async () => {
    expect(await limitsOf('gast')).toMatchObject({
      tier: 'Free',
      tierExpiresTime: null,
      used: { runningJobs: 0, queuedJobs: 0, uploadBytes: 0 },
    })
  })

  test('end with it: who was premium is free a moment later', async () => {
    const nowMs = Date.now()
    await setMembership('noor', { tier: 'Premium', expiresMs: nowMs + 60_000 })
    expect(await limitsOf('noor')).toMatchObject({ tier: 'Premium', caps: defaultTierCaps.Premium })
    await setMembership('noor', { tier: 'Premium', expiresMs: nowMs - 1 })
    expect(await limitsOf('noor')).toMatchObject({ tier: 'Free', tierExpiresTime: null })
  })

  test('bound the pictures of one job, and the field is named', async () => {
    const prompt = 'metal'
    await change({ tiers: { Free: { imagesPerJob: 16 }, Standard: { imagesPerJob: 17 } } })
    const full = await submit('noor', { parameters: { prompt, batchCount: 4, batchSize: 4 } })
    expect(full.statusCode).toBe(202)
    const over = await submit('noor', { parameters: { prompt, batchCount: 17 } })
    expect(over.json()).toMatchObject({
      code: 'request.invalid',
      errors: [{ path: '/parameters/batchCount' }],
    })
    await setMembership('noor', { tier: 'Standard', expiresMs: null })
    const allowed = await submit('noor', { parameters: { prompt, batchCount: 17 } })
    expect(allowed.statusCode).toBe(202)
    await setMembership('noor', { tier: 'Free', expiresMs: null })
    await finishAll('noor')
  })

  test('stand in the custom resource as they were when the job was made', async () => {
    await change({ tiers: { Free: { runningJobs: 3 } } })
    const id = await api.submit('noor')
    await change({ tiers: { Free: { runningJobs: 2 } } })
    const resource = await eventually(
      async () =>
        await getObject(api.admin, generationJobs, {
          namespace: api.surroundings.namespace,
          name: `gj-${id}`,
        }),
    )
    expect(resource.spec.owner.limits).toEqual({ runningJobs: 3 })
    await finishAll('noor')
  })

  test('let exactly as many jobs wait as they say, of 20 requests at once', async () => {
    await change({ overLimit: 'Queue', tiers: { Free: { queuedJobs: 7 } } })
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await submit('noor')))
    const refused = answers.filter(({ statusCode }) => statusCode === 429)
    expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(7)
    expect(refused).toHaveLength(13)
    for (const response of refused) {
      expect(response.json()).toMatchObject({
        code: 'limit.queued_jobs',
        limit: 7,
        count: 7,
        running: 0,
        queued: 7,
      })
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
    }
    expect((await limitsOf('noor')).used).toMatchObject({ runningJobs: 0, queuedJobs: 7 })
  })

  test('count a running job no longer as waiting', async () => {
    const [first = ''] = await openJobs('noor')
    await eventually(async () => await api.surroundings.setJobStatus(first, running))
    await eventually(async () => expect((await limitsOf('noor')).used.runningJobs).toBe(1))
    expect((await submit('noor')).statusCode).toBe(202)
    expect((await submit('noor')).json()).toMatchObject({ count: 7, running: 1, queued: 7 })
  })

  test('do not count a repeated request again, and a refused one leaves no trace', async () => {
    const key = { 'idempotency-key': 'at the cap' }
    expect((await submit('noor', {}, key)).statusCode).toBe(429)
    await change({ tiers: { Free: { queuedJobs: 8 } } })
    const first = await submit('noor', {}, key)
    expect(first.statusCode).toBe(202)
    const again = await submit('noor', {}, key)
    expect([again.statusCode, again.json().id]).toEqual([202, first.json().id])
  })

  test('with Reject refuse at once what is over the running cap; what waits stays', async () => {
    await change({ overLimit: 'Reject', tiers: { Free: { runningJobs: 2 } } })
    const before = await openJobs('noor')
    const over = await submit('noor')
    expect(over.json()).toMatchObject({
      code: 'limit.running_jobs',
      limit: 2,
      count: 9,
      running: 1,
      queued: 8,
    })
    expect(await openJobs('noor')).toEqual(before)
    await finishAll('noor')
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await submit('noor')))
    expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(2)
    await finishAll('noor')
    await change({ overLimit: 'Queue', tiers: { Free: { runningJobs: 4, queuedJobs: 100 } } })
  })
})

describe('a department', () => {
  test('bounds its waiting jobs, over all its people', async () => {
    const { quality } = api.surroundings
    const limit = async (queuedJobs: number | null) => {
      const url = `/v1/departments/${quality}`
      const body = { limits: { queuedJobs } }
      const response = await api.call({ method: 'PATCH', url, as: 'root', body })
      expect([response.statusCode, response.body]).toEqual([200, expect.anything()])
      await eventually(() => {
        const seen = api.core.departments.get(quality)?.spec.limits?.queuedJobs ?? null
        expect(seen).toBe(queuedJobs)
      })
    }
    const waiting = (await openJobs('lead')).length
    await limit(waiting + 1)
    expect((await submit('mina')).statusCode).toBe(202)
    const refused = await submit('noor')
    expect(refused.json()).toMatchObject({
      code: 'limit.department_queue',
      limit: waiting + 1,
      queued: waiting + 1,
    })
    expect(refused.headers['retry-after']).toBe('15')
    expect((await submit('sam')).statusCode).toBe(202)
    await limit(null)
  })
})
