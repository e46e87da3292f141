import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAlreadyExists } from '../../../src/platform/kube/errors.ts'
import { createObject, deleteObject } from '../../../src/platform/kube/objects.ts'
import {
  generationJobs,
  jobs,
  pods,
  serviceAccounts as serviceAccountKind,
} from '../../../src/platform/kube/resources.ts'
import { jobsNamespace, serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { type InternalScene, openInternalScene, tokenOf } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
let running: Awaited<ReturnType<InternalScene['startJob']>>

beforeAll(async () => {
  scene = await openInternalScene()
  await scene.fund(100 * perImage, `department:${scene.department}`)
  running = await scene.startJob()
})
afterAll(async () => await scene.close())

function attemptPath(id: string, attempt: number, what = 'work'): string {
  return `/internal/v1/jobs/${id}/attempts/${attempt}/${what}`
}

async function work(token: string | undefined, id = running.id, attempt = 1) {
  return await scene.call({ method: 'GET', path: attemptPath(id, attempt), token })
}

describe('the pod of the current attempt', () => {
  it('gets its work, with complete parameters', async () => {
    const answer = await work(running.token)
    expect(answer).toMatchObject({
      status: 200,
      body: {
        task: 'TextToImage',
        model: { name: scene.model, delivery: { type: 'Embedded' } },
        parameters: { prompt: 'a scratch on wood', width: 64, steps: 20, batchSize: 1 },
        inputs: [],
      },
    })
  })

  it('is recognised although the cache has not seen its attempt yet', async () => {
    const job = await scene.applyJob()
    await scene.hold(job)
    const pod = await scene.startPod()
    expect(await work(pod.token, job.metadata.uid)).toMatchObject({
      status: 409,
      body: { code: 'attempt.not_current' },
    })
    await scene.setStatus(job, { attempt: { number: 1, podName: pod.name, podUID: pod.uid } })
    // No waiting here: the live read has to find it.
    expect((await work(pod.token, job.metadata.uid)).status).toBe(200)
  })

  it('may still report after its job was deleted, and nobody else may', async () => {
    const { job, id, token, podUID } = await scene.startJob()
    const { store } = scene.parts
    await store.change(id, {}, { attempt: { number: 1, podUID } })
    const { name, namespace } = job.metadata
    await deleteObject(scene.admin, generationJobs, { name, namespace })
    await eventually(() => {
      expect(scene.parts.caches.jobs.lister.listIndexed(id)).toEqual([])
    })
    const body = { reason: 'Cancelled', message: '', outputs: [], stepsDone: 3 }
    const path = attemptPath(id, 1, 'report')
    expect((await scene.call({ method: 'POST', path, token, body })).status).toBe(204)
    const { token: stranger } = await scene.startPod()
    expect((await scene.call({ method: 'POST', path, token: stranger, body })).status).toBe(403)
  })
})

async function podUIDOf(job: { readonly metadata: { readonly uid: string } }) {
  return await eventually(() => {
    const [cached] = scene.parts.caches.jobs.lister.listIndexed(job.metadata.uid)
    const uid = cached?.status?.attempt?.podUID
    expect(uid).toBeDefined()
    return uid
  })
}

describe('everybody else', () => {
  it('without a token is told to bring one', async () => {
    expect(await work(undefined)).toMatchObject({ status: 401, body: { code: 'auth.required' } })
  })

  it.each(['x', 'a.b.c', 'Zm9v'])('with the token %j is not accepted', async (token) => {
    expect(await work(token)).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } })
  })

  it('with a user’s own JWT is not accepted', async () => {
    const { privateKey } = await generateKeyPair('EdDSA')
    const token = await new SignJWT({ role: 'super_admin' })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('https://kubernetes.default.svc')
      .setAudience('internal.atelier.dev')
      .setSubject('system:serviceaccount:atelier-system:atelier-controller')
      .setExpirationTime('1h')
      .sign(privateKey)
    expect((await work(token)).status).toBe(401)
  })

  it('with a token for another audience is not accepted', async () => {
    const audiences = ['https://kubernetes.default.svc']
    const token = await tokenOf(scene, {
      namespace: systemNamespace,
      serviceAccount: serviceAccounts.controller,
      audiences,
    })
    expect((await work(token)).status).toBe(401)
  })

  it('as the pod of another job is forbidden', async () => {
    const other = await scene.startJob()
    await podUIDOf(other.job)
    expect((await work(other.token)).status).toBe(403)
    const waiting = await scene.applyJob()
    await scene.hold(waiting)
    // The other job has no pod yet; this one is known to belong elsewhere.
    expect((await work(other.token, waiting.metadata.uid)).status).toBe(403)
  })

  it('as a hand-made pod with a forged owner is forbidden', async () => {
    const { name, uid } = running.job.metadata
    const batch = await createObject(scene.admin, jobs, {
      metadata: {
        name: `gj-${uid}-a1`,
        namespace: scene.kubectlNamespace,
        ownerReferences: [{ apiVersion: 'atelier.dev/v1alpha1', kind: 'GenerationJob', name, uid }],
      },
      spec: {
        suspend: true,
        template: {
          metadata: {},
          spec: { restartPolicy: 'Never', containers: [{ name: 'inference', image: 'none' }] },
        },
      },
    })
    const owner = { name: batch.metadata.name, uid: batch.metadata.uid, controller: true }
    const { token } = await scene.startPod({
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', ...owner }],
    })
    expect((await work(token)).status).toBe(403)
  })

  it('from another namespace is forbidden', async () => {
    const { token } = await scene.startPod({ namespace: scene.jobsNamespace })
    expect((await work(token)).status).toBe(403)
  })

  it('with the job service account but no pod is forbidden', async () => {
    const token = await tokenOf(scene, {
      namespace: scene.kubectlNamespace,
      serviceAccount: serviceAccounts.job,
    })
    expect((await work(token)).status).toBe(403)
  })

  it('as the controller is forbidden what belongs to pods', async () => {
    for (const what of ['uploads', 'progress', 'report']) {
      const path = attemptPath(running.id, 1, what)
      const call = { method: 'POST', path, token: scene.controllerToken, body: {} } as const
      expect((await scene.call(call)).status).toBe(403)
    }
    expect((await work(scene.controllerToken)).status).toBe(403)
  })

  it('as a pod is forbidden what belongs to the controller', async () => {
    const { token, id } = running
    const paths = [`/internal/v1/jobs/${id}/settlement`, attemptPath(id, 1, 'report')]
    for (const path of paths) {
      expect((await scene.call({ method: 'GET', path, token })).status).toBe(403)
    }
    const path = `/internal/v1/jobs/${id}/hold`
    expect((await scene.call({ method: 'PUT', path, token, body: {} })).status).toBe(403)
  })

  it('for a job that does not exist learns nothing', async () => {
    expect((await work(running.token, '00000000000000000000000000')).status).toBe(403)
    expect((await work(running.token, 'NOT-AN-ID')).status).toBe(400)
  })
})

describe('an old attempt', () => {
  it('is fenced as soon as the next one is named', async () => {
    const { job, id, token } = await scene.startJob()
    expect((await work(token, id)).status).toBe(200)
    const next = await scene.startPod()
    await scene.setStatus(job, { attempt: { number: 2, podName: next.name, podUID: next.uid } })
    await eventually(async () => {
      expect(await work(token, id, 1)).toMatchObject({
        status: 409,
        body: { code: 'attempt.not_current' },
      })
    })
    expect((await work(next.token, id, 2)).status).toBe(200)
    expect((await work(token, id, 2)).status).toBe(403)
    expect((await work(next.token, id, 3)).status).toBe(409)
  })
})

/** A held job whose first attempt has a slot of this pod, as the controller would say. */
async function assignedTo({ name, uid }: { readonly name: string; readonly uid: string }) {
  const job = await scene.applyJob()
  await scene.hold(job)
  const attempt = { number: 1, pool: 'warm', podName: name, podUID: uid, runner: 'runner-1' }
  await scene.setStatus(job, { attempt })
  return { job, id: job.metadata.uid }
}

/** A pod of the platform, where every installation has its namespace. */
async function startPlatformPod() {
  const account = { metadata: { namespace: jobsNamespace, name: serviceAccounts.job } }
  await createObject(scene.admin, serviceAccountKind, account).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error
  })
  const pod = await scene.startPod({ namespace: jobsNamespace })
  const remove = async () =>
    await deleteObject(scene.admin, pods, {
      namespace: jobsNamespace,
      name: pod.name,
      graceSeconds: 0,
    })
  return { ...pod, remove }
}

describe('the pod of a pool', () => {
  it('serves several jobs at once, and only those that it was given', async () => {
    const pod = await scene.startPod()
    const assigned = [await assignedTo(pod), await assignedTo(pod)]
    for (const { id } of assigned) {
      // Whether the cache has seen it or the live read finds it.
      expect((await work(pod.token, id)).status).toBe(200)
      await eventually(() => {
        const [cached] = scene.parts.caches.jobs.lister.listIndexed(id)
        expect(cached?.status?.attempt?.podUID).toBe(pod.uid)
      })
      expect((await work(pod.token, id)).status).toBe(200)
    }
    const waiting = await scene.applyJob()
    await scene.hold(waiting)
    expect((await work(pod.token, waiting.metadata.uid)).status).toBe(409)
    expect((await work(pod.token)).status).toBe(403)
  })

  it('of the platform serves jobs of every namespace, by their status only', async () => {
    const pod = await startPlatformPod()
    const { id, job } = await assignedTo(pod)
    expect((await work(pod.token, id)).status).toBe(200)
    expect((await work(pod.token)).status).toBe(403)
    const waiting = await scene.applyJob()
    await scene.hold(waiting)
    expect((await work(pod.token, waiting.metadata.uid)).status).toBe(409)
    await scene.setStatus(waiting, { attempt: { number: 1, podUID: pod.uid } })
    expect((await work(pod.token, waiting.metadata.uid)).status).toBe(403)
    await scene.setStatus(job, { attempt: { number: 2, podUID: 'another' } })
    await eventually(async () => expect((await work(pod.token, id)).status).toBe(409))
    await pod.remove()
  })

  it('of any other namespace serves nobody, whatever the status says', async () => {
    const pod = await scene.startPod({ namespace: scene.jobsNamespace })
    const { id } = await assignedTo(pod)
    expect((await work(pod.token, id)).status).toBe(403)
  })

  it('may still report after its job was deleted, and nobody else may', async () => {
    const pod = await startPlatformPod()
    const { id, job } = await assignedTo(pod)
    await scene.parts.store.change(id, {}, { attempt: { number: 1, podUID: pod.uid } })
    const { name, namespace } = job.metadata
    await deleteObject(scene.admin, generationJobs, { name, namespace })
    await eventually(() => {
      expect(scene.parts.caches.jobs.lister.listIndexed(id)).toEqual([])
    })
    const body = { reason: 'Cancelled', message: '', outputs: [], stepsDone: 3 }
    const path = attemptPath(id, 1, 'report')
    const report = async (token: string) =>
      (await scene.call({ method: 'POST', path, token, body })).status
    expect(await report(pod.token)).toBe(204)
    const stranger = await startPlatformPod()
    expect(await report(stranger.token)).toBe(403)
    const foreign = await scene.startPod({ namespace: scene.jobsNamespace })
    expect(await report(foreign.token)).toBe(403)
    await Promise.all([pod.remove(), stranger.remove()])
  })
})
