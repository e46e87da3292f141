import type { KubeClient } from '../../platform/kube/client.ts'
import { isNotFound } from '../../platform/kube/errors.ts'
import { getObject } from '../../platform/kube/objects.ts'
import { configMaps, secrets } from '../../platform/kube/resources.ts'
import { AppError } from '../../shared/errors.ts'
import type { Container, Pod } from './pod.ts'
import { hostIp } from './pod-status.ts'

/** What variables and volumes of a pod are made from. */
export type PodPlace = {
  readonly pod: Pod
  readonly podIp: string
  /** Of the pod, on this machine. */
  readonly folder: string
  readonly read: KeyReader
}

type Keys = ReadonlyMap<string, Buffer>

/** Reads a Secret or ConfigMap, decoded; undefined when there is none of this name. */
export type KeyReader = (kind: 'Secret' | 'ConfigMap', name: string) => Promise<Keys | undefined>

export type KeyReference = {
  readonly name?: string | undefined
  readonly optional?: boolean | undefined
}

/** Replaces `$(NAME)` as Kubernetes does: unknown names stay, `$$` is one `$`. */
export function expand(text: string, known: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\$|\$\(([^)]*)\)/g, (match, name: string | undefined) => {
    if (match === '$$') return '$'
    return known.get(name ?? '') ?? match
  })
}

/**
 * The environment that the container's specification asks for, on top of `base`.
 * Later entries win; `value` may refer to what stands before it. Throws `request.invalid` when an
 * object or key that is not optional is missing.
 */
export async function resolveEnvironment(
  { env = [] }: Container,
  base: Readonly<Record<string, string>>,
  place: PodPlace,
): Promise<ReadonlyMap<string, string>> {
  const known = new Map(Object.entries(base))
  for (const { name, value = '', valueFrom } of env) {
    const text = valueFrom === undefined ? expand(value, known) : await referred(valueFrom, place)
    if (text !== undefined) known.set(name, text)
  }
  return known
}

type ValueSource = NonNullable<NonNullable<Container['env']>[number]['valueFrom']>

async function referred(source: ValueSource, place: PodPlace): Promise<string | undefined> {
  const { fieldRef, secretKeyRef, configMapKeyRef } = source
  if (fieldRef !== undefined) return fieldValue(place, fieldRef.fieldPath)
  const reference = secretKeyRef ?? configMapKeyRef
  if (reference === undefined) throw new AppError('request.invalid', 'a variable has no source')
  const kind = secretKeyRef === undefined ? 'ConfigMap' : 'Secret'
  return keyOf(await keysOf(place, kind, reference), reference)?.toString('utf8')
}

/** Throws `request.invalid` for a missing object that is not optional. */
export async function keysOf(
  place: PodPlace,
  kind: 'Secret' | 'ConfigMap',
  { name = '', optional }: KeyReference,
): Promise<Keys> {
  const keys = await place.read(kind, name)
  if (keys !== undefined || optional === true) return keys ?? new Map()
  throw new AppError('request.invalid', `there is no ${kind} ${name}`)
}

/** Throws `request.invalid` for a missing key that is not optional. */
export function keyOf(
  keys: Keys,
  { key, name, optional }: KeyReference & { readonly key: string },
): Buffer | undefined {
  const value = keys.get(key)
  if (value !== undefined || optional === true) return value
  throw new AppError('request.invalid', `there is no key ${key} in ${name}`)
}

/** The value of a `fieldRef`. Throws `request.invalid` for a field that the agent does not know. */
export function fieldValue({ pod, podIp }: PodPlace, path: string): string {
  const { metadata, spec } = pod
  const { labels = {}, annotations = {} } = metadata
  const [, map, key = ''] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? []
  if (map !== undefined) return (map === 'labels' ? labels : annotations)[key] ?? ''
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': podIp,
    'status.hostIP': hostIp,
  }
  const value = fields[path]
  if (value === undefined) throw new AppError('request.invalid', `no field ${path} is known`)
  return value
}

export function keyReader(client: KubeClient, namespace: string): KeyReader {
  return async (kind, name) => {
    try {
      if (kind === 'Secret') {
        return decoded((await getObject(client, secrets, { namespace, name })).data, 'base64')
      }
      const { data, binaryData } = await getObject(client, configMaps, { namespace, name })
      return new Map([...decoded(data, 'utf8'), ...decoded(binaryData, 'base64')])
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
}

function decoded(data: Readonly<Record<string, string>> = {}, encoding: BufferEncoding): Keys {
  return new Map(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, encoding)]))
}
