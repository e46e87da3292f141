import { assert } from '../../shared/assert.ts'
import { apiGroup } from '../../shared/names.ts'
import type { KubeClient, Query } from './client.ts'
import { type AnyKind, apiVersionOf, pathOf, type ResourceKind } from './resources.ts'
import type { ApplyDraft, Draft, KubeObject, ObjectRef } from './types.ts'

export { requestToken, reviewToken } from './tokens.ts'

/**
 * The verbs. All throw KubeError. To abort them or to change the timeout, pass
 * `scopedClient(client, { signal, timeoutMs })` of client.ts.
 */

export type ListOptions = {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

export type DeleteOptions = {
  /** Precondition: 409 when the object of this name has another uid. */
  readonly uid?: string | undefined
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan' | undefined
  readonly graceSeconds?: number | undefined
}

export type ApplyOptions = {
  readonly fieldManager: string
  /** Take over fields that another manager owns; without it such a field is a conflict. */
  readonly force?: boolean
}

/** A list as the API server returns it. */
export type ObjectPage<T> = {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly T[]
}

export const PAGE_SIZE = 500
const PAGES_MAX = 10_000
const MERGE_PATCH = 'application/merge-patch+json'
const APPLY_PATCH = 'application/apply-patch+yaml'

/** Unknown fields of our own kinds are refused instead of dropped. */
function strict(kind: AnyKind): Query {
  return kind.group === apiGroup ? { fieldValidation: 'Strict' } : {}
}

/** Reads one object; `isNotFound` when it does not exist. */
export async function getObject<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  ref: ObjectRef,
): Promise<T> {
  return await client.request<T>({ method: 'GET', path: pathOf(kind, ref) })
}

/** Reads all objects page by page; for repeated reading use a list-watch. */
export async function listObjects<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  options: ListOptions = {},
): Promise<readonly T[]> {
  const items: T[] = []
  const { namespace, ...selectors } = options
  let token: string | undefined
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await client.request<ObjectPage<T>>({
      method: 'GET',
      path: pathOf(kind, { namespace }),
      query: { limit: PAGE_SIZE, continue: token, ...selectors },
    })
    items.push(...answer.items)
    token = answer.metadata.continue
    if (token === undefined || token === '') return items
  }
  throw new Error(`assertion failed: a list of ${kind.plural} ends after ${PAGES_MAX} pages`)
}

/** Creates an object; `isAlreadyExists` when the name is taken. */
export async function createObject<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  object: Draft<T>,
): Promise<T> {
  const { namespace } = object.metadata
  assert(!kind.namespaced || namespace !== undefined, `a ${kind.kind} needs a namespace`)
  return await client.request<T>({
    method: 'POST',
    path: pathOf(kind, { namespace }),
    query: strict(kind),
    body: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object },
  })
}

/**
 * Deletes an object (its dependents in the background, unless told otherwise);
 * `isNotFound` when it is gone already, `isConflict` when its uid differs.
 */
export async function deleteObject<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  target: ObjectRef & DeleteOptions,
): Promise<void> {
  await client.request({
    method: 'DELETE',
    path: pathOf(kind, { namespace: target.namespace, name: target.name }),
    body: {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: target.propagationPolicy ?? 'Background',
      ...(target.graceSeconds === undefined ? {} : { gracePeriodSeconds: target.graceSeconds }),
      ...(target.uid === undefined ? {} : { preconditions: { uid: target.uid } }),
    },
  })
}

/**
 * Merge-patches `/status`. The patch carries the uid and resourceVersion of `object`, so a change
 * that was not seen, or another object of this name, is answered with `isConflict`.
 * A field that shall vanish must be given as null.
 */
export async function patchStatus<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  { object, status }: { readonly object: T; readonly status: object },
): Promise<T> {
  const { name, namespace, uid, resourceVersion } = object.metadata
  return await client.request<T>({
    method: 'PATCH',
    path: pathOf(kind, { namespace, name, subresource: 'status' }),
    query: strict(kind),
    contentType: MERGE_PATCH,
    body: { metadata: { uid, resourceVersion }, status },
  })
}

/** JSON merge patch (RFC 7386) of anything but the status. */
export async function mergePatch<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  { patch, ...ref }: ObjectRef & { readonly patch: object },
): Promise<T> {
  return await client.request<T>({
    method: 'PATCH',
    path: pathOf(kind, ref),
    query: strict(kind),
    contentType: MERGE_PATCH,
    body: patch,
  })
}

/** Server-side apply: creates the object or takes its fields to the given values. */
export async function applyObject<T extends KubeObject>(
  client: KubeClient,
  kind: ResourceKind<T>,
  { object, fieldManager, force }: ApplyOptions & { readonly object: ApplyDraft<T> },
): Promise<T> {
  const { name, namespace } = object.metadata
  return await client.request<T>({
    method: 'PATCH',
    path: pathOf(kind, { namespace, name }),
    query: { ...strict(kind), fieldManager, force },
    contentType: APPLY_PATCH,
    // JSON is YAML.
    body: { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object },
  })
}
