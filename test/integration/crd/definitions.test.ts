import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { kinds } from '../../../tools/crds/kinds.ts'
import { api, type Fixture, openFixture } from './fixture.ts'
import { departmentOf, jobOf, modelOf, smallPool } from './objects.ts'

const policies = path.resolve(import.meta.dirname, '../../../manifests/policies')

let fixture: Fixture

beforeAll(async () => {
  fixture = await openFixture()
})

afterAll(async () => {
  await fixture.close()
})

describe('defaults', () => {
  it.each([
    [
      jobOf('TextToImage'),
      {
        execution: 'Auto',
        priority: 50,
        suspend: false,
        cancel: false,
        backoffLimit: 2,
        activeDeadlineSeconds: 3600,
        queueTimeoutSeconds: 86_400,
        ttlSecondsAfterFinished: 86_400,
      },
    ],
    [modelOf({ visibility: undefined, departments: undefined }), { visibility: 'Public' }],
    [
      { ...departmentOf(), spec: {} },
      { weight: 100, namespace: 'atelier-jobs', managedBy: 'api' },
    ],
    [
      smallPool,
      {
        minReplicas: 0,
        maxReplicas: 1,
        idleSeconds: 300,
        slots: 1,
        drainSeconds: 3600,
        gpu: { count: 1, sharing: 'Exclusive', api: 'Auto' },
      },
    ],
  ])('stand in the stored object $kind', async (object, spec) => {
    expect(await fixture.judge(object)).toMatchObject({ accepted: true, object: { spec } })
  })
})

describe('status', () => {
  it('is not written together with the spec', async () => {
    const verdict = await fixture.judge({ ...jobOf('TextToImage'), status: { summary: '1/1' } })
    expect(verdict).toMatchObject({ accepted: true })
    expect(verdict).not.toHaveProperty('object.status')
  })

  it('is not written by the api', async () => {
    const place = `${fixture.collection('GenerationJob')}/generationjob-example`
    await fixture.create(jobOf('TextToImage'))
    const answer = await fixture.server.call({
      method: 'PATCH',
      path: `${place}/status`,
      contentType: 'application/merge-patch+json',
      body: { status: { summary: '1/1' } },
      as: api,
    })
    expect(answer.status).toBe(403)
  })
})

describe('the API server', () => {
  const list = z.object({
    items: z.array(
      z.object({
        metadata: z.object({ name: z.string() }),
        status: z
          .object({
            conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
            typeChecking: z
              .object({ expressionWarnings: z.array(z.unknown()).default([]) })
              .optional(),
          })
          .default({ conditions: [] }),
      }),
    ),
  })

  async function ours(place: string) {
    const answer = await fixture.server.call({ method: 'GET', path: place })
    const { items } = list.parse(answer.body)
    return items.filter(
      ({ metadata: { name } }) => name.endsWith('.atelier.dev') && !name.includes('mutants'),
    )
  }

  it('finds every definition structural and establishes it', async () => {
    const found = await ours('/apis/apiextensions.k8s.io/v1/customresourcedefinitions')
    expect(found).toHaveLength(kinds.length)
    for (const { status } of found) {
      const on = status.conditions.filter((one) => one.status === 'True').map(({ type }) => type)
      expect(on.toSorted()).toEqual(['Established', 'NamesAccepted'])
    }
  })

  it('has no warning about the types in a policy', async () => {
    const found = await ours('/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies')
    expect(found).toHaveLength((await readdir(policies)).length)
    for (const { status } of found) {
      expect(status.typeChecking?.expressionWarnings ?? []).toEqual([])
    }
  })
})
