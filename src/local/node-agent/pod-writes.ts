import type { KubeClient } from '../../platform/kube/client.ts'
import { isConflict, isNotFound } from '../../platform/kube/errors.ts'
import { deleteObject } from '../../platform/kube/objects.ts'
import { pathOf } from '../../platform/kube/resources.ts'
import { type Pod, type PodStatus, pods } from './pod.ts'

/** Reports a pod. One that is gone, or that has a namesake now, needs no report any more. */
export async function writePodStatus(
  client: KubeClient,
  pod: Pod,
  status: PodStatus,
): Promise<void> {
  const { name, namespace, uid } = pod.metadata
  const writing = client.request({
    method: 'PATCH',
    path: pathOf(pods, { namespace, name, subresource: 'status' }),
    // Merges conditions by type, so that the scheduler's stay; the uid is a precondition.
    contentType: 'application/strategic-merge-patch+json',
    body: { metadata: { uid }, status },
  })
  await unlessGone(writing)
}

/** Tells the API server that nothing of a deleted pod runs any more. */
export async function confirmDeletion(client: KubeClient, pod: Pod): Promise<void> {
  const { name, namespace, uid, finalizers = [], deletionGracePeriodSeconds } = pod.metadata
  // Said already; the API server waits for the finalizers alone.
  if (deletionGracePeriodSeconds === 0 && finalizers.length > 0) return
  await unlessGone(deleteObject(client, pods, { name, namespace, uid, graceSeconds: 0 }))
}

async function unlessGone(request: Promise<unknown>): Promise<void> {
  try {
    await request
  } catch (error) {
    if (!isNotFound(error) && !isConflict(error)) throw error
  }
}
