import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
const pictures = longTests ? 24 : 6

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

  async function submit(index: number): Promise<string> {
    const parameters = { prompt: 'a photo of a hole on leather', seed: index, batchCount: pictures }
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

  /** Delivers a callback as the pod would; answers the status. */
  async function post(token: string, path: string, body: object): Promise<number> {
    const answer = await fetch(`${atelier.internalUrl}/internal/v1/jobs/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    await answer.arrayBuffer()
    return answer.status
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
      expect(await post(token, `${id}/attempts/1/report`, report!)).toBe(204)
    }
    const other = { reason: 'Failed', message: 'another', outputs: [], stepsDone: 1 }
    expect(await post(token, `${id}/attempts/1/report`, other)).toBe(409)
    expect(await post(token, `${id}/attempts/2/report`, other)).toBe(409)
    for (const sequence of [7, 9, 8, 9, 9]) {
      await post(token, `${id}/attempts/1/progress`, progress(sequence))
    }
    const after = await member.job(id)
    expect(withoutLinks(after)).toEqual(withoutLinks(settled))
    expect(await readReport(id)).toEqual(report)
    await expectNothingLost(scene)
  })

  it('25: an older attempt hands in its result after the next has begun', async () => {
    const id = await submit(200)
    const pod = await podOf(id)
    const token = await tokenOf(pod)
    await suspend(id, true)
    await eventually(async () => {
      expect((await resource(id)).status?.attempt?.outcome).toBe('Suspended')
    }, faultTimeout / 2)
    await suspend(id, false)
    await podOf(id, 2)
    const report = { reason: 'Completed', message: 'late', outputs: [], stepsDone: 1 }
    // Fenced, or not known any more because its pod is gone.
    expect([401, 403, 409]).toContain(await post(token, `${id}/attempts/1/report`, report))
    await untilCompleted([id])
    expect((await resource(id)).status?.attempt).toMatchObject({ number: 2, outcome: 'Completed' })
    expect((await member.job(id)).outputs).toHaveLength(pictures)
    await expectNothingLost(scene)
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
        expect(await member.job(id)).toMatchObject({ state: 'Cancelled', cost: { held: '0' } })
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
