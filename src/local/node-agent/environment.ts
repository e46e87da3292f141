import { AppError } from '../../shared/errors.ts'
import type { Container, Pod } from './pod.ts'

/** Contents of Secrets and ConfigMaps by name, decoded; undefined = there is no such object. */
export type PodSources = {
  readonly secrets: ReadonlyMap<string, SourceContent | undefined>
  readonly configMaps: ReadonlyMap<string, SourceContent | undefined>
}
export type SourceContent = ReadonlyMap<string, Buffer>

export type PodPlace = { readonly pod: Pod; readonly podIp: string; readonly hostIp: string }

type Variable = NonNullable<Container['env']>[number]

type Reference = {
  readonly name?: string | undefined
  readonly key?: string | undefined
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
 * The environment that the container's specification asks for, on top of the image's.
 * Later entries win; `value` may refer to what stands before it. Throws `request.invalid` when an
 * object or key that is not optional is missing.
 */
export function resolveEnvironment(
  container: Container,
  image: Readonly<Record<string, string>>,
  { place, sources }: { readonly place: PodPlace; readonly sources: PodSources },
): ReadonlyMap<string, string> {
  const known = new Map(Object.entries(image))
  for (const { prefix = '', secretRef, configMapRef } of container.envFrom ?? []) {
    const content = contentOf('Secret', secretRef, sources.secrets)
    const more = contentOf('ConfigMap', configMapRef, sources.configMaps)
    for (const [key, value] of [...(content ?? []), ...(more ?? [])]) {
      known.set(prefix + key, value.toString('utf8'))
    }
  }
  for (const variable of container.env ?? []) {
    const value = variableValue(variable, { place, sources, known })
    if (value !== undefined) known.set(variable.name, value)
  }
  return known
}

function variableValue(
  variable: Variable,
  context: {
    readonly place: PodPlace
    readonly sources: PodSources
    readonly known: ReadonlyMap<string, string>
  },
): string | undefined {
  const from = variable.valueFrom
  if (from === undefined) return expand(variable.value ?? '', context.known)
  if (from.fieldRef !== undefined) return fieldValue(context.place, from.fieldRef.fieldPath)
  const { sources } = context
  return from.secretKeyRef === undefined
    ? keyValue('ConfigMap', from.configMapKeyRef, sources.configMaps)
    : keyValue('Secret', from.secretKeyRef, sources.secrets)
}

function keyValue(
  kind: string,
  reference: Reference | undefined,
  objects: ReadonlyMap<string, SourceContent | undefined>,
): string | undefined {
  const content = contentOf(kind, reference, objects)
  const value = content?.get(reference?.key ?? '')
  if (value === undefined && content !== undefined && reference?.optional !== true) {
    const { name, key } = reference ?? {}
    throw new AppError('request.invalid', `${kind} ${name} has no key ${key}`)
  }
  return value?.toString('utf8')
}

/** The content of a referenced object; undefined when it is optional and missing. */
export function contentOf(
  kind: string,
  reference: Reference | undefined,
  objects: ReadonlyMap<string, SourceContent | undefined>,
): SourceContent | undefined {
  if (reference === undefined) return undefined
  const name = reference.name ?? ''
  const content = objects.get(name)
  if (content === undefined && reference.optional !== true) {
    throw new AppError('request.invalid', `there is no ${kind} ${name}`)
  }
  return content
}

/** The value of a `fieldRef`. Throws `request.invalid` for a field that the agent does not know. */
export function fieldValue({ pod, podIp, hostIp }: PodPlace, path: string): string {
  const { metadata, spec } = pod
  const fields: Readonly<Record<string, string | undefined>> = {
    'metadata.name': metadata.name,
    'metadata.namespace': metadata.namespace,
    'metadata.uid': metadata.uid,
    'metadata.labels': keyValueLines(metadata.labels),
    'metadata.annotations': keyValueLines(metadata.annotations),
    'spec.nodeName': spec.nodeName,
    'spec.serviceAccountName': spec.serviceAccountName,
    'status.podIP': podIp,
    'status.podIPs': podIp,
    'status.hostIP': hostIp,
    'status.hostIPs': hostIp,
  }
  const [, map, key = ''] = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path) ?? []
  const { labels = {}, annotations = {} } = metadata
  if (map !== undefined) return (map === 'labels' ? labels : annotations)[key] ?? ''
  const value = fields[path]
  if (value === undefined) throw new AppError('request.invalid', `no field ${path} is known`)
  return value
}

/** The file format of the downward API for labels and annotations: `key="value"` lines. */
function keyValueLines(values: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(values ?? {})
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .toSorted()
    .join('\n')
}
