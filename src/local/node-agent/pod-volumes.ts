import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import { requestToken } from '../../platform/kube/objects.ts'
import type { Clock } from '../../shared/clock.ts'
import type { PodPlace, PodSources } from './environment.ts'
import type { PathRewrite } from './path-rewriting.ts'
import type { Container, Pod } from './pod.ts'
import { type TokenWant, tokenWants, volumeFiles } from './volume-files.ts'

const renewalRetryMs = 10_000

/** Host paths of a container's volume mounts; folders for `subPath` are made where missing. */
export function mountPaths(container: Container, volumesFolder: string): readonly PathRewrite[] {
  return (container.volumeMounts ?? []).map(({ name, mountPath, subPath = '' }) => ({
    from: mountPath,
    to: join(volumesFolder, name, subPath),
  }))
}

/** Creates the folders of a pod's volumes and writes their files, except tokens. */
export function writeVolumes(
  volumesFolder: string,
  context: { readonly place: PodPlace; readonly sources: PodSources },
): void {
  for (const volume of context.place.pod.spec.volumes ?? []) {
    const folder = join(volumesFolder, volume.name)
    mkdirSync(folder, { recursive: true })
    for (const { path, content, mode } of volumeFiles(volume, context)) {
      replaceFile(join(folder, path), content, mode)
    }
  }
}

export type TokenKeeping = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly pod: Pod
  readonly volumesFolder: string
  /** Share of a token's life after which it is renewed; the kubelet's is 0.8. */
  readonly renewalShare: number
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/**
 * Writes the pod's tokens, which are bound to the pod, and renews them until the signal fires.
 * Resolves when all have been written once; throws KubeError when one cannot be had.
 */
export async function keepTokens(keeping: TokenKeeping): Promise<void> {
  const wants = tokenWants(keeping.pod)
  const issued = await Promise.all(
    wants.map(async (want) => ({ want, renewMs: await writeToken(keeping, want) })),
  )
  for (const { want, renewMs } of issued) {
    renewToken(keeping, want, renewMs).catch(keeping.onError)
  }
}

async function renewToken(keeping: TokenKeeping, want: TokenWant, firstMs: number): Promise<void> {
  let delayMs = firstMs
  for (;;) {
    await sleep(delayMs, keeping.signal)
    if (keeping.signal.aborted) return
    try {
      delayMs = await writeToken(keeping, want)
    } catch (error) {
      keeping.onError(error)
      delayMs = renewalRetryMs
    }
  }
}

/** Returns after how many milliseconds the token wants renewal. */
async function writeToken(keeping: TokenKeeping, want: TokenWant): Promise<number> {
  const { metadata, spec } = keeping.pod
  const { token, expiresAt } = await requestToken(keeping.client, {
    namespace: metadata.namespace,
    serviceAccount: spec.serviceAccountName ?? 'default',
    audiences: want.audiences,
    expirationSeconds: want.expirationSeconds,
    boundPod: { name: metadata.name, uid: metadata.uid },
  })
  const file = join(keeping.volumesFolder, want.volume, want.path)
  replaceFile(file, Buffer.from(token), 0o600)
  const lifetimeMs = Date.parse(expiresAt) - keeping.clock.nowMs()
  return Math.max(lifetimeMs * keeping.renewalShare, 100)
}

/** Readers see the old content or the new one, never a part. */
function replaceFile(path: string, content: Buffer, mode: number): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.new`, content, { mode })
  renameSync(`${path}.new`, path)
}
