import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { getObject, mergePatch } from '../../../src/platform/kube/objects.ts'
import { generationJobs, type Pod, pods } from '../../../src/platform/kube/resources.ts'
import { requestToken } from '../../../src/platform/kube/tokens.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { internalAudience, serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
import { attemptReport, type Report } from '../../../src/shared/wire/internal.ts'
import { startTestAtelier, type TestAtelier } from '../../support/atelier.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { openAdminClient } from '../../support/kube.ts'
import { longTests } from '../../support/long.ts'
import type { RestSession } from '../../support/rest-session.ts'
import { type AtelierScene, watchAtelier } from './atelier-scene.ts'
import { expectNothingLost, expectQuiet } from './audit.ts'
import { faultTimeout } from './faulty-world.ts'

const jobCount = longTests ? 12 : 2
/** Of a job that must still run when it is suspended. */
const manyPictures = 24
const pictures = longTests ? manyPictures : 6
const keptByTest = 'test.atelier.dev/kept'
const problem = z.object({ code: z.string() })

describe('the whole product with jobs in flight', { timeout: faultTimeout }, () => {
  let atelier: TestAtelier
  let scene: AtelierScene
  let member: RestSession
  /** Of jobs that have been completed. */
  let ids: readonly string[] = []
  const admin = openAdminClient()

  beforeAll(async () => {
    atelier = await startTestAtelier(testEnvironment())
    scene = await watchAtelier(atelier)
    member = await atelier.signIn('department_member')
  }, faultTimeout)
  afterAll(async () => {
    await scene.close()
    await atelier.stop()
    await admin.close()
  })

  async function submit(index: number, batchCount = pictures): Promise<string> {
    const parameters = { prompt: 'a photo of a hole on leather', seed: index, batchCount }
    const { id } = await member.submit({ task: 'TextToImage', model: 'demo', parameters })
    scene.wasAccepted(id)
    return id
  }

  async function resource(id: string): Promise<GenerationJob> {
    const { resource: ref } = await member.job(id)
    const { namespace = '', name = '' } = ref ?? {}
    return await getObject(admin, generationJobs, { namespace, name })
  }

  /** The pod of its current attempt, once its container runs or has run. */
  async function podOf(id: string, number = 1): Promise<Pod> {
    return await eventually(async () => {
      const { metadata, status } = await resource(id)
      const { namespace = '' } = metadata
      expect(status?.attempt).toMatchObject({ number, startTime: expect.any(String) })
      return await getObject(admin, pods, { namespace, name: status?.attempt?.podName ?? '' })
    }, faultTimeout / 2)
  }

  async function untilCompleted(some: readonly string[]): Promise<void> {
    await eventually(async () => {
      const jobs = await Promise.all(some.map(member.job))
      expect(jobs.map(({ state }) => state)).toEqual(some.map(() => 'Completed'))
    }, faultTimeout / 2)
  }

  async function tokenOf(pod: Pod): Promise<string> {
    const { namespace = '', name, uid } = pod.metadata
    const wish = { namespace, serviceAccount: serviceAccounts.job, boundPod: { name, uid } }
    return await internalToken(wish)
  }

  async function internalToken(
    wish: Pick<Parameters<typeof requestToken>[1], 'namespace' | 'serviceAccount' | 'boundPod'>,
  ): Promise<string> {
    const audiences = [internalAudience]
    return (await requestToken(admin, { ...wish, audiences, expirationSeconds: 600 })).token
  }

  async function readReport(id: string): Promise<Report | null> {
    const token = await internalToken({
      namespace: systemNamespace,
      serviceAccount: serviceAccounts.controller,
    })
    const path = `/internal/v1/jobs/${id}/attempts/1/report`
    const answer = await fetch(`${atelier.internalUrl}${path}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    return attemptReport.parse(await answer.json()).report
  }

  /** Delivers a callback as the pod would; answers the status, and the code of a refusal. */
  async function post(token: string, path: string, body: object): Promise<string> {
    const answer = await fetch(`${atelier.internalUrl}/internal/v1/jobs/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    const text = await answer.text()
    const refusal = text === '' ? undefined : problem.parse(JSON.parse(text))
    return [answer.status, refusal?.code].join(' ').trim()
  }

  /** Its object stays, and its token is good for as long as it does, until the answer is called. */
  async function keepPod({ metadata }: Pod): Promise<() => Promise<void>> {
    const { name, namespace = '' } = metadata
    const change = async (next: (before: readonly string[]) => readonly string[]) => {
      const { finalizers = [] } = (await getObject(admin, pods, { name, namespace })).metadata
      const patch = { metadata: { finalizers: next(finalizers) } }
      await mergePatch(admin, pods, { name, namespace, patch })
    }
    await change((before) => [...before, keptByTest])
    return async () => await change((before) => before.filter((each) => each !== keptByTest))
  }

  it('25: the operator is replaced, and pods that run are left alone', async () => {
    ids = await Promise.all(Array.from({ length: jobCount }, (_, index) => submit(index)))
    const before = await Promise.all(ids.slice(0, 3).map(async (id) => await podOf(id)))
    const pid = atelier.controller.pid()
    await atelier.controller.restart()
    expect(atelier.controller.pid()).not.toBe(pid)
    await untilCompleted(ids)
    for (const [index, pod] of before.entries()) {
      const after = await podOf(ids[index] ?? '')
      expect(after.metadata.uid).toBe(pod.metadata.uid)
      expect(after.metadata.deletionTimestamp).toBeUndefined()
      expect(after.status?.startTime).toBe(pod.status?.startTime)
      expect(after.status?.containerStatuses?.[0]?.restartCount).toBe(0)
    }
    const jobs = await Promise.all(ids.map(member.job))
    expect(jobs.map(({ outputs }) => outputs.length)).toEqual(ids.map(() => pictures))
    await expectNothingLost(scene)
  })

  it('25: callbacks come three times and out of order', async () => {
    const [id = ''] = ids
    const token = await tokenOf(await podOf(id))
    const settled = await member.job(id)
    const report = await readReport(id)
    expect(report).toMatchObject({ reason: 'Completed' })
    for (let time = 1; time <= 3; time += 1) {
      expect(await post(token, `${id}/attempts/1/report`, report!)).toBe('204')
    }
    const other = { reason: 'Failed', message: 'another', outputs: [], stepsDone: 1 }
    expect(await post(token, `${id}/attempts/1/report`, other)).toMatch(/^409 /)
    expect(await post(token, `${id}/attempts/2/report`, other)).toMatch(/^409 /)
    for (const sequence of [7, 9, 8, 9, 9]) {
      await post(token, `${id}/attempts/1/progress`, progress(sequence))
    }
    const after = await member.job(id)
    expect(withoutLinks(after)).toEqual(withoutLinks(settled))
    expect(await readReport(id)).toEqual(report)
    await expectNothingLost(scene)
  })

  it('25: an older attempt hands in its result after the next has begun', async () => {
    const id = await submit(200, manyPictures)
    const pod = await podOf(id)
    const token = await tokenOf(pod)
    const letGo = await keepPod(pod)
    try {
      await suspend(id, true)
      await eventually(async () => {
        expect((await resource(id)).status?.attempt?.outcome).toBe('Suspended')
      }, faultTimeout / 2)
      await suspend(id, false)
      await podOf(id, 2)
      const report = { reason: 'Completed', message: 'late', outputs: [], stepsDone: 1 }
      // The token is still good: it is the number of the attempt that is too old.
      const refused = '409 attempt.not_current'
      expect(await post(token, `${id}/attempts/1/report`, report)).toBe(refused)
      expect(await post(token, `${id}/attempts/1/progress`, progress(1))).toBe(refused)
      // Nor may it speak for the next one.
      expect(await post(token, `${id}/attempts/2/report`, report)).toBe('403 auth.forbidden')
    } finally {
      await letGo()
    }
    await untilCompleted([id])
    expect((await resource(id)).status?.attempt).toMatchObject({ number: 2, outcome: 'Completed' })
    const after = await member.job(id)
    expect(after.outputs).toHaveLength(manyPictures)
    await expectNothingLost(scene)
    expect((await member.job(id)).cost.charged).toBe(String(manyPictures))
    await expectQuiet(scene)
  })

  // Only a resource that is missing for a minute is taken for deleted.
  it.each(longTests ? [300] : [])(
    '23: job %i is deleted while it runs, and settled',
    async (index) => {
      const id = await submit(index)
      await podOf(id)
      const { namespace = '', name } = (await resource(id)).metadata
      const { exitCode } = await atelier.kubectl(['delete', 'genjob', '-n', namespace, name])
      expect(exitCode).toBe(0)
      await eventually(async () => {
        const { state, cost } = await member.job(id)
        expect(state).toBe('Cancelled')
        // What it charges is known when the hold is settled, and not before.
        expect(cost.charged).not.toBeNull()
      }, faultTimeout / 2)
      await expectNothingLost(scene)
      await expectQuiet(scene)
    },
  )

  async function suspend(id: string, suspended: boolean): Promise<void> {
    const { namespace = '', name } = (await resource(id)).metadata
    await mergePatch(admin, generationJobs, {
      namespace,
      name,
      patch: { spec: { suspend: suspended } },
    })
  }
})

function progress(sequence: number) {
  const counts = { step: 1, steps: 20, imagesDone: 0, images: 1, stepsDone: 1 }
  return { sequence, stage: 'Denoising', ...counts }
}

/** Links to pictures are signed anew for each answer. */
function withoutLinks<T extends { readonly outputs: readonly object[] }>(job: T) {
  return { ...job, outputs: job.outputs.length }
}
