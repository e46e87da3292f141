import { randomBytes } from 'node:crypto'
import { openKubeClient, type KubeClient } from '../../src/platform/kube/client.ts'
import { createObject, deleteObject } from '../../src/platform/kube/objects.ts'
import { namespaces } from '../../src/platform/kube/resources.ts'
import { testEnvironment } from './environment.ts'

/** A client with the rights of an administrator. */
export function openAdminClient(): KubeClient {
  const { kubeconfigPath } = testEnvironment()
  return openKubeClient({ kubeconfigPath, userAgent: 'atelier-test' })
}

/** A namespace of its own for one test file or test. */
export async function createNamespace(client: KubeClient, prefix: string): Promise<string> {
  const name = `${prefix}-${randomBytes(5).toString('hex')}`
  await createObject(client, namespaces, { metadata: { name } })
  return name
}

export async function deleteNamespace(client: KubeClient, name: string): Promise<void> {
  await deleteObject(client, namespaces, { name })
}
