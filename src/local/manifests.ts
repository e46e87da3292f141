import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import type { KubeClient } from '../platform/kube/client.ts'
import { isForbidden, isNotFound } from '../platform/kube/errors.ts'
import { applyObject, getObject } from '../platform/kube/objects.ts'
import {
  departments,
  generationJobs,
  modelPools,
  models,
  namespaces,
  pathOf,
  type ResourceKind,
  serviceAccounts,
} from '../platform/kube/resources.ts'
import type { KubeObject } from '../platform/kube/types.ts'
import { AppError } from '../shared/errors.ts'
import { jobsNamespace } from '../shared/names.ts'
import { projectFolder } from './project.ts'

const fieldManager = 'atelier-local'
const pollMs = 50
const attempts = 200

const manifest = z.looseObject({
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
})
type Manifest = z.infer<typeof manifest>
type Definition = KubeObject & {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

const definitions: ResourceKind<Definition> = {
  ...clusterKind('CustomResourceDefinition', 'customresourcedefinitions'),
  group: 'apiextensions.k8s.io',
}

/** In the order in which they are applied: what others need comes first. */
const kinds: readonly ResourceKind<KubeObject>[] = [
  definitions,
  namespaces,
  serviceAccounts,
  rbac('ClusterRole', 'clusterroles', false),
  rbac('ClusterRoleBinding', 'clusterrolebindings', false),
  rbac('Role', 'roles', true),
  rbac('RoleBinding', 'rolebindings', true),
  admission('ValidatingAdmissionPolicy', 'validatingadmissionpolicies'),
  admission('ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings'),
  departments,
  models,
  modelPools,
  generationJobs,
]

/** Installs the custom resources, roles and policies: the same files that a cluster gets. */
export async function applyPlatform(client: KubeClient, signal: AbortSignal): Promise<void> {
  const folders = ['crds', 'manifests/rbac', 'manifests/policies']
  const objects = (await Promise.all(folders.map(readFolder))).flat()
  await applyAll(client, objects)
  const names = objects.filter(({ kind }) => kind === definitions.kind)
  await Promise.all(
    names.map(({ metadata }) => waitFor(() => isEstablished(client, metadata.name), signal)),
  )
  await waitFor(() => isPolicyActive(client), signal)
}

/** Demo departments with their namespaces and the demo Model; with `pool` also its warm pods. */
export async function applySamples(
  client: KubeClient,
  { pool }: { readonly pool: boolean },
): Promise<void> {
  const files = ['departments.yaml', 'model-demo.yaml', ...(pool ? ['model-pool.yaml'] : [])]
  const folder = join(projectFolder, 'manifests/samples')
  const objects = await Promise.all(files.map((name) => readManifests(join(folder, name))))
  await applyAll(client, objects.flat())
}

async function applyAll(client: KubeClient, objects: readonly Manifest[]): Promise<void> {
  for (const kind of kinds) {
    const same = objects.filter((object) => object.kind === kind.kind)
    await Promise.all(
      same.map((object) => applyObject(client, kind, { object, fieldManager, force: true })),
    )
  }
}

async function readFolder(name: string): Promise<readonly Manifest[]> {
  const folder = join(projectFolder, name)
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml'))
  return (await Promise.all(files.map((file) => readManifests(join(folder, file))))).flat()
}

async function readManifests(path: string): Promise<readonly Manifest[]> {
  const documents = parseAllDocuments(await readFile(path, 'utf8'))
  const objects = documents.map((document) => manifest.parse(document.toJS()))
  const unknown = objects.find(({ kind }) => !kinds.some((known) => known.kind === kind))
  if (unknown === undefined) return objects
  throw new AppError('platform.misconfigured', `${path}: kind ${unknown.kind} is not known here`)
}

async function isEstablished(client: KubeClient, name: string): Promise<boolean> {
  const { status } = await getObject(client, definitions, { name })
  const established = status?.conditions?.find(({ type }) => type === 'Established')
  return established?.status === 'True'
}

/**
 * The API server learns a policy a moment after it was stored. A dry run of what the policy must
 * refuse, a job in a namespace of no department, shows when that is.
 */
async function isPolicyActive(client: KubeClient): Promise<boolean> {
  const path = join(projectFolder, 'manifests/samples/generation-job.yaml')
  const [sample] = await readManifests(path)
  const body = { ...sample, metadata: { name: 'policy-check', namespace: jobsNamespace } }
  try {
    await client.request({
      method: 'POST',
      path: pathOf(generationJobs, { namespace: jobsNamespace }),
      query: { dryRun: 'All' },
      body,
    })
    return false
  } catch (error) {
    if (isForbidden(error)) return true
    // The endpoint of a kind that was established just now.
    if (isNotFound(error)) return false
    throw error
  }
}

async function waitFor(fact: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await fact()) return
    await sleep(pollMs, undefined, { signal })
  }
  throw new AppError('platform.unavailable', 'the API server did not take the manifests in time')
}

function clusterKind(kind: string, plural: string) {
  return { version: 'v1', kind, plural, namespaced: false }
}

function rbac(kind: string, plural: string, namespaced: boolean) {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', kind, plural, namespaced }
}

function admission(kind: string, plural: string) {
  return { ...clusterKind(kind, plural), group: 'admissionregistration.k8s.io' }
}
