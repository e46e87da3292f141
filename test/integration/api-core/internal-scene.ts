import { createServer } from 'node:net'
import pino from 'pino'
import { request } from 'undici'
import { buildInternal } from '../../../src/api/internal/build.ts'
import { registerInternal } from '../../../src/api/internal/routes.ts'
import { createHttpApp } from '../../../src/api/plugins/http-app.ts'
import {
  createObject,
  getObject,
  patchStatus,
  requestToken,
} from '../../../src/platform/kube/objects.ts'
import { generationJobs, pods, serviceAccounts } from '../../../src/platform/kube/resources.ts'
import type { OwnerReference } from '../../../src/platform/kube/types.ts'
import type {
  GenerationJob,
  GenerationJobStatus,
  Parameters,
} from '../../../src/shared/crd/generation-job.ts'
import { generationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import {
  internalAudience,
  serviceAccounts as accountNames,
  systemNamespace,
} from '../../../src/shared/names.ts'
import { openScene, type Scene } from './scene.ts'

export type Answer = { readonly status: number; readonly body: unknown }

export type Call = {
  readonly method: 'GET' | 'PUT' | 'POST'
  readonly path: string
  readonly token?: string | undefined
  readonly body?: unknown
}

export type PodOptions = {
  readonly namespace?: string
  readonly ownerReferences?: readonly OwnerReference[]
}

/** A scene whose internal port listens, with real service accounts, pods and tokens. */
export type InternalScene = Scene & {
  readonly url: string
  readonly call: (call: Call) => Promise<Answer>
  readonly controllerToken: string
  /** Applies a job as somebody with kubectl would. */
  readonly applyJob: (parameters?: Parameters) => Promise<GenerationJob>
  readonly hold: (job: GenerationJob) => Promise<Answer>
  /** A real Pod of the job service account and a token bound to it. */
  readonly startPod: (options?: PodOptions) => Promise<{ uid: string; name: string; token: string }>
  /** Writes a status as the controller would, over whatever is there. */
  readonly setStatus: (job: GenerationJob, status: GenerationJobStatus) => Promise<GenerationJob>
  /** A held job whose current attempt runs in a real pod. */
  readonly startJob: (
    parameters?: Parameters,
  ) => Promise<{ job: GenerationJob; id: string; token: string; podUID: string }>
}

export async function openInternalScene(): Promise<InternalScene> {
  const scene = await openScene()
  const { admin, kubectlNamespace } = scene
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const app = createHttpApp({
    log: pino({ level: 'silent' }),
    publicUrl: url,
    newRequestId: () => 'test',
    bodyBytesMax: 1_000_000,
  })
  registerInternal(app, buildInternal({ ...scene.parts, internalUrl: url }))
  await app.listen({ host: '127.0.0.1', port })
  for (const namespace of [scene.jobsNamespace, kubectlNamespace]) {
    await createObject(admin, serviceAccounts, {
      metadata: { namespace, name: accountNames.job },
    })
  }
  const controllerToken = await tokenOf(scene, {
    namespace: systemNamespace,
    serviceAccount: accountNames.controller,
  })
  const call = async (one: Call) => await send(url, one)
  const applyJob = async (parameters: Parameters = {}) => await apply(scene, parameters)
  const setStatus = async (job: GenerationJob, status: GenerationJobStatus) => {
    const { name, namespace } = job.metadata
    const object = await getObject(admin, generationJobs, { name, namespace })
    return await patchStatus(admin, generationJobs, { object, status })
  }
  const hold = async ({ metadata: { uid, namespace, name }, spec }: GenerationJob) =>
    await call({
      method: 'PUT',
      path: `/internal/v1/jobs/${spec.jobId ?? uid}/hold`,
      token: controllerToken,
      body: { uid, namespace, name, spec },
    })
  const startPod = async (options: PodOptions = {}) => await createPod(scene, options)
  return {
    ...scene,
    url,
    call,
    controllerToken,
    applyJob,
    setStatus,
    hold,
    startPod,
    startJob: async (parameters) => {
      const job = await applyJob(parameters)
      await hold(job)
      const pod = await startPod()
      const attempt = { number: 1, podName: pod.name, podUID: pod.uid }
      await setStatus(job, { attempt })
      return { job, id: job.metadata.uid, token: pod.token, podUID: pod.uid }
    },
    close: async () => {
      await app.close()
      await scene.close()
    },
  }
}

export type TokenOwner = {
  readonly namespace: string
  readonly serviceAccount: string
  readonly audiences?: readonly string[]
}

export async function tokenOf({ admin }: Scene, owner: TokenOwner): Promise<string> {
  const wish = { audiences: [internalAudience], ...owner, expirationSeconds: 3600 }
  return (await requestToken(admin, wish)).token
}

async function send(url: string, { method, path, token, body }: Call): Promise<Answer> {
  const answer = await request(url + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  })
  const text = await answer.body.text()
  return { status: answer.statusCode, body: text === '' ? null : JSON.parse(text) }
}

async function apply(scene: Scene, parameters: Parameters): Promise<GenerationJob> {
  const metadata = { generateName: 'job-', namespace: scene.kubectlNamespace }
  const spec = generationJobSpec.parse({
    owner: { department: scene.department },
    task: 'TextToImage',
    modelRef: { name: scene.model },
    parameters: { prompt: 'a scratch on wood', ...parameters },
  })
  return await createObject(scene.admin, generationJobs, { metadata, spec })
}

/** The platform's own namespace demands it of every pod. */
const leastPrivilege = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } }

async function createPod({ admin, kubectlNamespace }: Scene, options: PodOptions) {
  const { namespace = kubectlNamespace, ownerReferences = [] } = options
  const pod = await createObject(admin, pods, {
    metadata: { generateName: 'pod-', namespace, ownerReferences },
    spec: {
      serviceAccountName: accountNames.job,
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [{ name: 'inference', image: 'none', securityContext: leastPrivilege }],
    },
  })
  const { name, uid } = pod.metadata
  const { token } = await requestToken(admin, {
    namespace,
    serviceAccount: accountNames.job,
    audiences: [internalAudience],
    expirationSeconds: 3600,
    boundPod: { name, uid },
  })
  return { name, uid, token }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => {
    server.close(resolve)
  })
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
