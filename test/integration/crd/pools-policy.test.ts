import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controller, resourceVersionOf } from './fixture.ts'
import type { Json } from './objects.ts'
import { openPoolFixture, pool, type PoolFixture, refusedWith } from './pool-fixture.ts'

/** What else the controller may make and change for ModelPools, whatever its role says. */
let fixture: PoolFixture
let owner: Json

beforeAll(async () => {
  fixture = await openPoolFixture()
  owner = fixture.owner
})

afterAll(async () => {
  await fixture.close()
})

type SecretChanges = { readonly owners?: readonly Json[]; readonly name?: string; type?: string }

function secret({ owners = [owner], name, type = 'atelier.dev/pool-key' }: SecretChanges = {}) {
  return {
    metadata: { name: name ?? `pool-${pool}-key`, ownerReferences: owners },
    type,
    data: { key: 'YWJj' },
  }
}

describe('Secrets: the controller', () => {
  it('creates the key of a pool', async () => {
    expect(await fixture.tryCreate('secrets', secret(), controller)).toMatchObject({
      accepted: true,
    })
  })

  it.each([
    ['that belongs to nobody', () => secret({ owners: [] }), 'ownerReferences'],
    [
      'that a job controls',
      () => secret({ owners: [{ ...owner, kind: 'GenerationJob' }] }),
      'ownerReferences',
    ],
    ['of another name', () => secret({ name: 'passwords' }), 'ownerReferences'],
    ['of another pool', () => secret({ name: 'pool-other-key' }), 'ownerReferences'],
    ['of another type', () => secret({ type: 'Opaque' }), 'type'],
  ] as const)('creates none %s', async (_what, body, field) => {
    expect(await fixture.tryCreate('secrets', body(), controller)).toMatchObject(refusedWith(field))
  })

  it('reads the key of a pool by a patch of nothing, which writes nothing', async () => {
    await fixture.store('secrets', secret())
    const name = `pool-${pool}-key`
    const before = await fixture.call('secrets', { method: 'GET' }, name)
    const rest = { method: 'PATCH', contentType: 'application/merge-patch+json', body: {} } as const
    const answer = await fixture.call('secrets', { ...rest, as: controller }, name)
    expect(answer).toMatchObject({ status: 200, body: { data: { key: 'YWJj' } } })
    expect(resourceVersionOf(answer)).toBe(resourceVersionOf(before))
    expect((await fixture.call('secrets', { method: 'GET', as: controller }, name)).status).toBe(
      403,
    )
  })

  it.each([
    ['the key', { data: { key: 'eHl6' } }, 'data'],
    ['more keys', { data: { other: 'eHl6' } }, 'data'],
    ['its owner', { metadata: { ownerReferences: [] } }, 'ownerReferences'],
  ])('does not change %s', async (_what, body, field) => {
    expect(await fixture.patch('secrets', `pool-${pool}-key`, body)).toMatchObject(
      refusedWith(field),
    )
  })

  it.each([
    ['passwords', 'Opaque', () => []],
    ['pool-mine-key', 'Opaque', async () => [await fixture.createPool('mine')]],
    ['pool-typed-key', 'atelier.dev/pool-key', () => []],
    ['bootstrap', 'atelier.dev/pool-key', () => [owner]],
  ] as const)('reads no other Secret: %s', async (name, type, owners) => {
    await fixture.store('secrets', secret({ name, type, owners: await owners() }))
    for (const body of [
      {},
      { data: { key: 'eHl6' } },
      { metadata: { ownerReferences: [owner] } },
      { metadata: { annotations: { a: 'b' } } },
    ]) {
      const verdict = await fixture.patch('secrets', name, body)
      expect(verdict).toMatchObject({ accepted: false, status: 403 })
      expect(JSON.stringify(verdict)).not.toContain('YWJj')
    }
  })
})

const container = { name: 'a', image: 'atelier.dev/inference:dev' }
const costs = 'controller.kubernetes.io/pod-deletion-cost'

function podOf(labels: Json, name: string): Json {
  const spec = { containers: [container], terminationGracePeriodSeconds: 0 }
  return { metadata: { name, labels, annotations: { a: 'b' } }, spec }
}

describe('pods: the controller', () => {
  it('sets the deletion cost of pods of pools', async () => {
    await fixture.store('pods', podOf({ 'atelier.dev/pool': pool }, 'of-pool'))
    for (const cost of ['-1', '0']) {
      expect(
        await fixture.patch('pods', 'of-pool', { metadata: { annotations: { [costs]: cost } } }),
      ).toMatchObject({ accepted: true })
    }
  })

  it.each([
    ['another annotation', { metadata: { annotations: { b: 'c' } } }, 'annotations'],
    ['an annotation that is there', { metadata: { annotations: { a: 'c' } } }, 'annotations'],
    ['an annotation away', { metadata: { annotations: { a: null } } }, 'annotations'],
    ['labels', { metadata: { labels: { b: 'c' } } }, 'labels'],
    ['finalizers', { metadata: { finalizers: ['a.example/b'] } }, 'finalizers'],
    [
      'owners',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'b' }] } },
      'ownerReferences',
    ],
    ['the deadline', { spec: { activeDeadlineSeconds: 1 } }, 'spec'],
  ])('does not change %s', async (_what, body, field) => {
    expect(await fixture.patch('pods', 'of-pool', body)).toMatchObject(refusedWith(field))
  })

  it('does not change the image', async () => {
    const body = { spec: { containers: [{ name: 'a', image: 'other.example/a' }] } }
    expect(await fixture.patchItems('pods', 'of-pool', body)).toMatchObject(refusedWith('spec'))
  })

  it('changes nothing of other pods', async () => {
    await fixture.store('pods', podOf({ app: 'web' }, 'foreign'))
    for (const body of [
      { metadata: { annotations: { [costs]: '-1' } } },
      { metadata: { labels: { 'atelier.dev/pool': pool } } },
    ]) {
      expect(await fixture.patch('pods', 'foreign', body)).toMatchObject(refusedWith('labels'))
    }
  })
})

function claimTemplate(changes: {
  readonly owners?: readonly Json[]
  exactly?: Json
  name?: string
}) {
  const { owners = [owner], exactly = {}, name = `pool-${pool}-0123` } = changes
  const requests = [{ name: 'gpus', exactly: { deviceClassName: 'gpu.nvidia.com', ...exactly } }]
  return { metadata: { name, ownerReferences: owners }, spec: { spec: { devices: { requests } } } }
}

describe('claim templates: the controller', () => {
  it('creates those of pools', async () => {
    const body = claimTemplate({})
    expect(await fixture.tryCreate('resourceclaimtemplates', body, controller)).toMatchObject({
      accepted: true,
    })
  })

  it.each([
    ['that belong to nobody', () => claimTemplate({ owners: [] }), 'ownerReferences'],
    ['of another name', () => claimTemplate({ name: 'pool-other-0123' }), 'ownerReferences'],
    [
      'that look into the devices of others',
      () => claimTemplate({ exactly: { adminAccess: true } }),
      'admin',
    ],
  ] as const)('creates none %s', async (_what, body, field) => {
    expect(await fixture.tryCreate('resourceclaimtemplates', body(), controller)).toMatchObject({
      accepted: false,
      message: expect.stringContaining(field),
    })
  })

  it.each([
    ['those of pools', 200, () => claimTemplate({ name: `pool-${pool}-old` })],
    ['none of others', 403, () => claimTemplate({ name: 'web-gpus', owners: [] })],
  ] as const)('deletes %s', async (_what, wanted, body) => {
    await fixture.store('resourceclaimtemplates', body())
    const { name } = body().metadata
    const deletion = { method: 'DELETE', query: { dryRun: 'All' }, as: controller } as const
    const { status } = await fixture.call('resourceclaimtemplates', deletion, name)
    expect(status).toBe(wanted)
  })
})
