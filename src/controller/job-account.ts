import type { KubeClient } from '../platform/kube/client.ts'
import { isAlreadyExists, unlessNotFound } from '../platform/kube/errors.ts'
import { createObject, getObject } from '../platform/kube/objects.ts'
import { serviceAccounts as serviceAccountKind } from '../platform/kube/resources.ts'
import { serviceAccounts } from '../shared/names.ts'

/** Pods cannot be created without it; it has no rights and mounts no token by itself. */
export async function ensureJobAccount(
  client: KubeClient,
  namespace: string | undefined,
): Promise<void> {
  const ref = { namespace, name: serviceAccounts.job }
  const found = await getObject(client, serviceAccountKind, ref).catch(unlessNotFound)
  if (found === undefined) await createJobAccount(client, ref)
}

async function createJobAccount(
  client: KubeClient,
  ref: { readonly namespace: string | undefined; readonly name: string },
): Promise<void> {
  const { name, namespace } = ref
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) }
  try {
    await createObject(client, serviceAccountKind, {
      metadata,
      automountServiceAccountToken: false,
    })
  } catch (error) {
    if (!isAlreadyExists(error)) throw error
  }
}
