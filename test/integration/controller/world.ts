import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { openApiClient } from '../../../src/controller/api-client.ts'
import {
  type Controller,
  type ControllerOptions,
  startController,
} from '../../../src/controller/manager.ts'
import { createControllerMetrics } from '../../../src/controller/metrics.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../../src/platform/kube/errors.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import {
  events,
  generationJobs,
  jobs,
  models,
  namespaces,
} from '../../../src/platform/kube/resources.ts'
import { requestToken } from '../../../src/platform/kube/tokens.ts'
import { createRegistry } from '../../../src/platform/metrics/registry.ts'
import {
  type GenerationJob,
  type GenerationJobSpec,
  generationJobSpec,
} from '../../../src/shared/crd/generation-job.ts'
import type { ModelSpec } from '../../../src/shared/crd/model.ts'
import { labels, serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
import { packSettings } from '../../unit/controller/builders.ts'
import { testEnvironment } from '../../support/environment.ts'
import { openAdminClient } from '../../support/kube.ts'
import { type FakeInternalApi, startFakeInternalApi } from './fake-internal-api.ts'
import { type Behaviour, type Kubelet, startKubelet } from './kubelet.ts'
import { createNode, type TestNode } from './nodes.ts'

export type WorldOptions = {
  /** GPUs per Node. */
  readonly gpus?: readonly number[]
  readonly behaviour?: (attempt: number, jobName: string) => Behaviour
  readonly model?: Partial<ModelSpec>
  readonly allowCpu?: boolean
}

/** A namespace, Nodes, a Model and an api of its own, so that tests do not see each other. */
export type World = {
  readonly admin: KubeClient
  readonly api: FakeInternalApi
  readonly namespace: string
  readonly model: string
  readonly nodes: readonly TestNode[]
  /** What its controllers wrote, such as `PATCH /apis/…`, but no Events. */
  readonly writes: readonly string[]
  readonly startController: (
    through?: (client: KubeClient) => KubeClient,
    options?: Partial<ControllerOptions>,
  ) => Promise<Controller>
  /** What a controller needs that is a process, or that reaches the API server another way. */
  readonly files: () => Promise<ControllerFiles>
  readonly createJob: (spec?: Partial<GenerationJobSpec>, name?: string) => Promise<GenerationJob>
  readonly patchSpec: (name: string, spec: Partial<GenerationJobSpec>) => Promise<void>
  readonly getJob: (name: string) => Promise<GenerationJob>
  readonly removeModel: (name: string) => Promise<void>
  readonly attemptNames: () => Promise<string[]>
  readonly eventReasons: () => Promise<string[]>
  readonly close: () => Promise<void>
}

export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const admin = openAdminClient()
  const id = randomBytes(5).toString('hex')
  const name = `ctl-${id}`
  const api = await startFakeInternalApi()
  const folder = await mkdtemp(path.join(tmpdir(), 'atelier-controller-'))
  await createObject(admin, namespaces, {
    metadata: {
      name,
      labels: { [labels.department]: name, 'pod-security.kubernetes.io/enforce': 'restricted' },
    },
  })
  await createObject(admin, models, { metadata: { name }, spec: modelSpec(options.model) })
  const nodes = await Promise.all(
    (options.gpus ?? [1]).map(async (gpus, index) => {
      return await createNode(admin, { name: `${name}-${index}`, pool: id, gpus })
    }),
  )
  const behaviour = options.behaviour ?? (() => ({}))
  const kubelet = startKubelet({ client: admin, api, namespace: name, behaviour })
  const writes: string[] = []
  const allowCpu = options.allowCpu ?? false
  const shared = { admin, api, folder, name, id, allowCpu, writes }
  const controllers: Promise<Controller>[] = []
  let isClosed = false
  return {
    admin,
    api,
    namespace: name,
    model: name,
    nodes,
    writes,
    files: async () => await controllerFiles(shared),
    startController: async (through = (client) => client, over = {}) => {
      if (isClosed) throw new Error('the world is closed')
      const controller = start(shared, through, over)
      controllers.push(controller)
      return await controller
    },
    ...jobVerbs(admin, name),
    close: async () => {
      isClosed = true
      await Promise.all(controllers.map(async (controller) => await (await controller).stop()))
      await cleanUp(shared, { kubelet, nodes })
    },
  }
}

type Shared = {
  readonly admin: KubeClient
  readonly api: FakeInternalApi
  readonly folder: string
  readonly name: string
  readonly id: string
  readonly allowCpu: boolean
  readonly writes: string[]
}

type Owned = { readonly kubelet: Kubelet; readonly nodes: readonly TestNode[] }

async function cleanUp({ admin, api, folder, name }: Shared, { kubelet, nodes }: Owned) {
  await kubelet.stop()
  await deleteObject(admin, models, { name })
  // A test may have deleted it.
  await deleteObject(admin, namespaces, { name }).catch(unlessNotFound)
  await Promise.all(nodes.map(async (node) => await node.remove()))
  await api.close()
  await rm(folder, { recursive: true })
  await admin.close()
}

/** A controller with the rights of its own service account, and nothing more. */
async function start(
  shared: Shared,
  through: (client: KubeClient) => KubeClient,
  over: Partial<ControllerOptions>,
): Promise<Controller> {
  const { api, name, id, allowCpu, writes } = shared
  const { kubeconfigPath, tokenFile } = await controllerFiles(shared)
  const client = openKubeClient({ kubeconfigPath, userAgent: 'atelier-controller' })
  const stopping = new AbortController()
  const { signal } = stopping
  const controller = startController({
    client: noting(through(client), writes),
    api: openApiClient({ baseUrl: api.url, tokenFile, timeoutMs: 5000, signal }),
    settings: {
      inferenceImage: 'atelier.dev/inference:test',
      podApiUrl: api.url,
      allowCpu,
      retryBaseMs: 100,
      nodeSelector: { 'test.atelier.dev/pool': id },
      packs: packSettings,
    },
    watchNamespace: name,
    metrics: createControllerMetrics(createRegistry('controller')),
    clock: systemClock,
    random: Math.random,
    randomBytes,
    onError: () => undefined,
    ...over,
  })
  await controller.started()
  return {
    ...controller,
    stop: async () => {
      stopping.abort()
      await controller.stop()
      await client.close()
    },
  }
}

export type ControllerFiles = { readonly kubeconfigPath: string; readonly tokenFile: string }

async function controllerFiles({ admin, api, folder }: Shared): Promise<ControllerFiles> {
  const tokenFile = path.join(folder, 'token')
  await writeFile(tokenFile, api.token)
  return { tokenFile, kubeconfigPath: await controllerKubeconfig(admin, folder) }
}

/** The same client; every write through it is noted, but no Event. */
function noting(client: KubeClient, writes: string[]): KubeClient {
  return {
    ...client,
    request: async (asked) => {
      const { method, path: place } = asked
      if (method !== 'GET' && !place.includes('/events')) writes.push(`${method} ${place}`)
      return await client.request(asked)
    },
  }
}

const adminKubeconfig = z.object({ clusters: z.array(z.looseObject({ name: z.string() })) })

async function controllerKubeconfig(admin: KubeClient, folder: string): Promise<string> {
  const { token } = await requestToken(admin, {
    namespace: systemNamespace,
    serviceAccount: serviceAccounts.controller,
    audiences: [],
    expirationSeconds: 3600,
  })
  const text = await readFile(testEnvironment().kubeconfigPath, 'utf8')
  const { clusters } = adminKubeconfig.parse(parse(text))
  const cluster = clusters[0]?.name
  const file = path.join(folder, 'kubeconfig')
  const own = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters,
    users: [{ name: 'controller', user: { token } }],
    contexts: [{ name: 'controller', context: { cluster, user: 'controller' } }],
    'current-context': 'controller',
  })
  await writeFile(file, own)
  return file
}

function jobVerbs(admin: KubeClient, namespace: string) {
  return {
    createJob: async (spec: Partial<GenerationJobSpec> = {}, name = 'job') =>
      await createObject(admin, generationJobs, {
        metadata: { name, namespace },
        spec: jobSpec(namespace, spec),
      }),
    patchSpec: async (name: string, spec: Partial<GenerationJobSpec>) => {
      await mergePatch(admin, generationJobs, { name, namespace, patch: { spec } })
    },
    getJob: async (name: string) => await getObject(admin, generationJobs, { name, namespace }),
    removeModel: async (name: string) => await deleteObject(admin, models, { name }),
    attemptNames: async () => {
      const all = await listObjects(admin, jobs, { namespace })
      return all.map(({ metadata }) => metadata.name).toSorted()
    },
    eventReasons: async () => {
      const all = await listObjects(admin, events, { namespace })
      const ours = all.filter(({ involvedObject }) => involvedObject.kind === 'GenerationJob')
      return ours.map(({ reason }) => reason ?? '').toSorted()
    },
  }
}

/** The schema fills in the rest. */
function jobSpec(name: string, spec: Partial<GenerationJobSpec>): GenerationJobSpec {
  return generationJobSpec.parse({
    owner: { department: name },
    task: 'TextToImage',
    modelRef: { name },
    parameters: { prompt: 'a test' },
    ...spec,
  })
}

/** A Model that serves the test's jobs. */
export function modelSpec(spec: Partial<ModelSpec> = {}): ModelSpec {
  return {
    type: 'Base',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    tasks: ['TextToImage'],
    delivery: { type: 'Embedded', embedded: { path: 'demo' } },
    price: { perImageMicroCredits: 1000 },
    resources: { gpus: 1, cpu: '100m', memory: '64Mi' },
    runsOn: ['Gpu', 'Cpu'],
    visibility: 'Public',
    ...spec,
  }
}
