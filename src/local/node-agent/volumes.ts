import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { KubeClient } from '../../platform/kube/client.ts'
import { requestToken } from '../../platform/kube/objects.ts'
import { AppError } from '../../shared/errors.ts'
import { volumesFolder } from './container-plan.ts'
import { type KeyReference, type PodPlace, fieldValue, keyOf, keysOf } from './environment.ts'
import type { ImageMap } from './image-map.ts'
import type { Pod, Volume } from './pod.ts'

type Projection = NonNullable<NonNullable<Volume['projected']>['sources']>[number]
type KeyFiles = KeyReference & {
  readonly items?: readonly { readonly key: string; readonly path: string; mode?: number }[]
}
/** Without them, in a simulated pod, claims and images are empty folders. */
export type VolumePlace = PodPlace & {
  /** Folders that stand for persistent volumes: `<namespace>/<claim>`. */
  readonly claimsFolder?: string
  readonly images?: ImageMap
}
/** `path` is relative to the volume's folder. */
type VolumeFile = { readonly path: string; readonly content: Buffer; readonly mode?: number }

/**
 * Creates the folders of a pod's volumes and writes their files, except tokens.
 * Throws `request.invalid` when something that is not optional is missing.
 */
export async function writeVolumes(place: VolumePlace): Promise<void> {
  for (const volume of place.pod.spec.volumes ?? []) {
    const folder = join(volumesFolder(place.folder), volume.name)
    const other = otherFolder(volume, place)
    if (other === undefined) await fillFolder(folder, volume, place)
    else linkFolder(folder, other)
  }
}

async function fillFolder(folder: string, volume: Volume, place: PodPlace): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const { defaultMode = 0o644 } = volume.secret ?? volume.configMap ?? volume.projected ?? {}
  for (const source of sourcesOf(volume)) {
    for (const { path, content, mode } of await sourceFiles(source, place)) {
      replaceFile(join(folder, path), content, mode ?? defaultMode)
    }
  }
}

/** Of a volume that outlives the pod or is older than it. */
function otherFolder({ persistentVolumeClaim, image }: Volume, place: VolumePlace) {
  const { claimsFolder, images } = place
  if (persistentVolumeClaim !== undefined && claimsFolder !== undefined) {
    const { namespace } = place.pod.metadata
    const folder = join(claimsFolder, namespace, persistentVolumeClaim.claimName)
    mkdirSync(folder, { recursive: true })
    return folder
  }
  if (image === undefined || images === undefined) return undefined
  const folder = images.get(image.reference ?? '')?.folder
  if (folder !== undefined) return folder
  const message = `image ${image.reference} is no folder of the image map`
  throw new AppError('request.invalid', message)
}

function linkFolder(folder: string, target: string): void {
  mkdirSync(dirname(folder), { recursive: true })
  rmSync(folder, { recursive: true, force: true })
  symlinkSync(target, folder)
}

/** A plain volume is like a projected one with one source. */
function sourcesOf(volume: Volume): readonly Partial<Projection>[] {
  const { secret, configMap, downwardAPI, projected } = volume
  const named = secret && { ...secret, name: secret.secretName }
  return projected?.sources ?? [{ secret: named, configMap, downwardAPI }]
}

async function sourceFiles(
  { secret, configMap, downwardAPI }: Partial<Projection>,
  place: PodPlace,
): Promise<readonly VolumeFile[]> {
  const fields = (downwardAPI?.items ?? []).map(({ path, fieldRef }) => {
    const value = fieldValue(place, fieldRef?.fieldPath ?? '')
    return { path, content: Buffer.from(value) }
  })
  const ofSecret = secret && (await keyFiles(place, 'Secret', secret))
  const ofConfigMap = configMap && (await keyFiles(place, 'ConfigMap', configMap))
  return [...fields, ...(ofSecret ?? []), ...(ofConfigMap ?? [])]
}

async function keyFiles(
  place: PodPlace,
  kind: 'Secret' | 'ConfigMap',
  wish: KeyFiles,
): Promise<readonly VolumeFile[]> {
  const keys = await keysOf(place, kind, wish)
  const items = wish.items ?? [...keys.keys()].map((key) => ({ key, path: key }))
  return items.flatMap(({ key, ...file }) => {
    const content = keyOf(keys, { ...wish, key })
    return content === undefined ? [] : [{ ...file, content }]
  })
}

type TokenContext = {
  readonly client: KubeClient
  readonly pod: Pod
  readonly folder: string
  readonly nowMs: number
  /** Share of a token's life after which it is renewed. */
  readonly renewalShare: number
}

/** Writes the pod's tokens, which are bound to it. Returns when they want renewal; or Infinity. */
export async function writeTokens(context: TokenContext): Promise<number> {
  const { client, pod, folder, nowMs, renewalShare } = context
  const { namespace, name, uid } = pod.metadata
  let renewalMs = Infinity
  for (const volume of pod.spec.volumes ?? []) {
    for (const { serviceAccountToken: wish } of volume.projected?.sources ?? []) {
      if (wish === undefined) continue
      const { token, expiresAt } = await requestToken(client, {
        namespace,
        serviceAccount: pod.spec.serviceAccountName ?? 'default',
        audiences: wish.audience === undefined ? [] : [wish.audience],
        expirationSeconds: wish.expirationSeconds ?? 3600,
        boundPod: { name, uid },
      })
      replaceFile(join(volumesFolder(folder), volume.name, wish.path), Buffer.from(token), 0o600)
      const lifetimeMs = Date.parse(expiresAt) - nowMs
      renewalMs = Math.min(renewalMs, nowMs + Math.max(lifetimeMs * renewalShare, 200))
    }
  }
  return renewalMs
}

/** Readers see the old content or the new one, never a part. */
function replaceFile(path: string, content: Buffer, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, content, { mode })
  renameSync(`${path}.new`, path)
}
