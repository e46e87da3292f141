import { AppError } from '../../shared/errors.ts'
import { type PodPlace, type PodSources, contentOf, fieldValue } from './environment.ts'
import type { Pod, Volume } from './pod.ts'

/** `path` is relative to the volume's folder. */
export type VolumeFile = { readonly path: string; readonly content: Buffer; readonly mode: number }

type FileContext = { readonly place: PodPlace; readonly sources: PodSources }
type Projection = NonNullable<NonNullable<Volume['projected']>['sources']>[number]
type ProjectedFile = Omit<VolumeFile, 'mode'> & { readonly mode?: number | undefined }
type KeyItem = { readonly key: string; readonly path: string; readonly mode?: number }

/**
 * The files of a volume as values; none for emptyDir, and tokens are not among them.
 * Throws `request.invalid` when something that is not optional is missing.
 */
export function volumeFiles(volume: Volume, context: FileContext): readonly VolumeFile[] {
  const { secret, configMap, downwardAPI, projected } = volume
  const own = secret ?? configMap ?? downwardAPI ?? projected
  const direct: Projection = {
    ...(secret === undefined ? {} : { secret: { ...secret, name: secret.secretName ?? '' } }),
    ...(configMap === undefined ? {} : { configMap }),
    ...(downwardAPI === undefined ? {} : { downwardAPI }),
  }
  return [direct, ...(projected?.sources ?? [])]
    .flatMap((source) => projectionFiles(source, context))
    .map(({ mode, ...file }) => ({ ...file, mode: mode ?? own?.defaultMode ?? 0o644 }))
}

function projectionFiles(
  { secret, configMap, downwardAPI }: Projection,
  { place, sources }: FileContext,
): readonly ProjectedFile[] {
  const fields = (downwardAPI?.items ?? []).map(({ path, mode, fieldRef }) => {
    const value = fieldRef === undefined ? '' : fieldValue(place, fieldRef.fieldPath)
    return { path, content: Buffer.from(value), mode }
  })
  return [
    ...keyFiles(contentOf('Secret', secret, sources.secrets), secret),
    ...keyFiles(contentOf('ConfigMap', configMap, sources.configMaps), configMap),
    ...fields,
  ]
}

function keyFiles(
  content: ReadonlyMap<string, Buffer> = new Map(),
  wish: { readonly items?: readonly KeyItem[]; readonly optional?: boolean } = {},
): readonly ProjectedFile[] {
  const items: readonly KeyItem[] =
    wish.items ?? [...content.keys()].map((key) => ({ key, path: key }))
  return items.flatMap(({ key, path, mode }) => {
    const bytes = content.get(key)
    if (bytes !== undefined) return [{ path, content: bytes, mode }]
    if (wish.optional === true) return []
    throw new AppError('request.invalid', `a volume refers to key ${key}, which does not exist`)
  })
}

/** One service account token that a pod wants in a file. */
export type TokenWant = {
  readonly volume: string
  readonly path: string
  readonly audiences: readonly string[]
  readonly expirationSeconds: number
}

/** The projected service account tokens of a pod. */
export function tokenWants(pod: Pod): readonly TokenWant[] {
  return (pod.spec.volumes ?? []).flatMap(({ name, projected }) =>
    (projected?.sources ?? []).flatMap(({ serviceAccountToken: token }) => {
      if (token === undefined) return []
      const { audience = '', expirationSeconds = 3600, path } = token
      const audiences = audience === '' ? [] : [audience]
      return [{ volume: name, path, audiences, expirationSeconds }]
    }),
  )
}
