import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { answersOk } from '../../../src/local/ready.ts'
import { freePorts } from '../../../src/local/ports.ts'
import { openRunRecord } from '../../../src/local/run-record.ts'
import { Supervisor } from '../../../src/local/supervisor.ts'
import { findWorkloadVersion } from '../../../src/controller/kueue/discovery.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { isConflict, isNotFound } from '../../../src/platform/kube/errors.ts'
import {
  applyObject,
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import { namespaces, type ResourceKind, secrets } from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import { testEnvironment } from '../environment.ts'
import { eventually } from '../eventually.ts'
import { definitions, kueueKinds, mutatingWebhooks, services, validatingWebhooks } from './kinds.ts'
import {
  configurationOf,
  type KueueManifest,
  kueueNames,
  readDefinitions,
  readWebhooks,
} from './manifests.ts'
import { resolveKueue } from './program.ts'

export type RunningKueue = {
  /** Ends it and takes everything of it out of the cluster. */
  readonly stop: () => Promise<void>
}

const { namespace } = kueueNames
const fieldManager = 'atelier-test'

/**
 * Installs the real Kueue: its program, CRDs and webhooks, with the certificates that it makes for
 * itself. It runs beside the cluster with an administrator's rights. Its Service is an ExternalName
 * on this machine, so that the API server finds a process instead of a pod.
 */
export async function startKueue(admin: KubeClient): Promise<RunningKueue> {
  const program = await resolveKueue()
  const folder = await mkdtemp(join(tmpdir(), 'atelier-test-kueue-'))
  const ports = await freePorts()
  const [health, webhook] = [ports.controllers, ports.api]
  const webhooks = await readWebhooks(program.folder, webhook)
  const crds = await readDefinitions(program.folder, webhook)
  const supervisor = new Supervisor({
    logFolder: join(folder, 'logs'),
    record: await openRunRecord(join(folder, 'run.json')),
    signal: new AbortController().signal,
  })
  const stop = async () => {
    await supervisor.stopAll()
    await uninstall(admin, { webhooks, crds })
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await install(admin, { webhooks, crds })
    const certificates = join(folder, 'certificates')
    await mkdir(certificates)
    const config = join(folder, 'kueue.yaml')
    await writeFile(config, stringify(configurationOf({ health, webhook, certificates })))
    const started = supervisor.start({
      name: 'kueue',
      command: program.path,
      args: [`--config=${config}`],
      environment: { KUBECONFIG: testEnvironment().kubeconfigPath, GOGC: '400' },
      ready: async (signal) => await answersOk(`http://127.0.0.1:${health}/readyz`, { signal }),
    })
    await Promise.all([started, mountCertificates(admin, certificates)])
    return { stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Installed = {
  readonly webhooks: readonly KueueManifest[]
  readonly crds: readonly KueueManifest[]
}

async function install(admin: KubeClient, { webhooks, crds }: Installed): Promise<void> {
  await createObject(admin, namespaces, { metadata: { name: namespace } })
  await createObject(admin, secrets, { metadata: { name: kueueNames.secret, namespace } })
  await createObject(admin, services, {
    metadata: { name: kueueNames.service, namespace },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  })
  await Promise.all(crds.map((object) => apply(admin, definitions, object)))
  await Promise.all(webhooks.map((object) => apply(admin, webhookKindOf(object), object)))
  for (const kind of kueueKinds) {
    await eventually(async () => await listObjects(admin, kind))
  }
}

async function apply(admin: KubeClient, kind: ResourceKind<KubeObject>, object: KueueManifest) {
  await applyObject(admin, kind, { object, fieldManager, force: true })
}

function webhookKindOf({ kind }: KueueManifest): ResourceKind<KubeObject> {
  return kind === mutatingWebhooks.kind ? mutatingWebhooks : validatingWebhooks
}

/** What a kubelet does with a Secret that a pod mounts. */
async function mountCertificates(admin: KubeClient, folder: string): Promise<void> {
  await eventually(async () => {
    const { data } = await getObject(admin, secrets, { name: kueueNames.secret, namespace })
    for (const name of ['tls.key', 'tls.crt']) {
      const content = data?.[name]
      if (content === undefined) throw new Error(`${name} is not there yet`)
      await writeFile(join(folder, name), Buffer.from(content, 'base64'), { mode: 0o600 })
    }
  })
}

/** The API server takes its time to end definitions of which there are objects. */
const uninstallTimeoutMs = 120_000

/** Its webhooks first: without the program they would refuse everything. */
async function uninstall(admin: KubeClient, { webhooks, crds }: Installed): Promise<void> {
  for (const object of webhooks) await remove(admin, webhookKindOf(object), object.metadata.name)
  await Promise.all(crds.map(({ metadata }) => remove(admin, definitions, metadata.name)))
  await remove(admin, namespaces, namespace)
  await eventually(async () => {
    for (const kind of kueueKinds) {
      const all = (await listObjects(admin, kind).catch(ignoreGone)) ?? []
      await Promise.all(all.map((object) => removeUnguarded(admin, kind, object)))
    }
    const all = await listObjects(admin, definitions)
    const left = all.filter(({ metadata }) => metadata.name.endsWith('.kueue.x-k8s.io'))
    if (left.length > 0) throw new Error(`${left.length} definitions of Kueue are left`)
    if ((await findWorkloadVersion(admin)) !== undefined) throw new Error('Kueue is still served')
  }, uninstallTimeoutMs)
}

/** With its finalizers, which nobody looks after any more. */
async function removeUnguarded<T extends KubeObject>(
  admin: KubeClient,
  kind: ResourceKind<T>,
  { metadata }: T,
): Promise<void> {
  const ref = { name: metadata.name, namespace: metadata.namespace }
  await deleteObject(admin, kind, ref).catch(ignoreGone)
  const patch = { metadata: { finalizers: null } }
  await mergePatch(admin, kind, { ...ref, patch }).catch(ignoreGone)
}

async function remove(admin: KubeClient, kind: ResourceKind<KubeObject>, name: string) {
  await deleteObject(admin, kind, { name }).catch(ignoreGone)
}

function ignoreGone(error: unknown): undefined {
  if (!isNotFound(error) && !isConflict(error)) throw error
}
