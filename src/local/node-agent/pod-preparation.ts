import { join } from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import type { KubeClient } from '../../platform/kube/client.ts'
import type { Clock } from '../../shared/clock.ts'
import { assert } from '../../shared/assert.ts'
import type { RunFolder } from './container-process.ts'
import { type PodSources, resolveEnvironment } from './environment.ts'
import type { ImageMap } from './image-map.ts'
import { gatherSources } from './pod-sources.ts'
import { hostIp } from './pod-status.ts'
import { keepTokens, mountPaths, writeVolumes } from './pod-volumes.ts'
import { type Container, type Pod, allContainers } from './pod.ts'
import { type ProcessPlan, planProcess } from './process-plan.ts'

const retryMs = 2_000
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export type PreparationOptions = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly imageMap: ImageMap
  /** Folder of the node program, first in PATH where neither image nor pod sets one. */
  readonly nodeFolder: string
  /** Share of a token's life after which it is renewed; the kubelet's is 0.8. */
  readonly tokenRenewalShare: number
}

export type PreparedPod = PreparationOptions & {
  readonly pod: Pod
  readonly podIp: string
  readonly folder: string
  /** Fires when the pod shall end. */
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

export function volumesFolder(folder: string): string {
  return join(folder, 'volumes')
}

/**
 * Writes volumes and tokens and reads what variables refer to; tries again until all is there.
 * Undefined when the pod had to end first.
 */
export async function preparePod(prepared: PreparedPod): Promise<PodSources | undefined> {
  while (!prepared.signal.aborted) {
    try {
      return await prepareOnce(prepared)
    } catch (error) {
      if (prepared.signal.aborted) return undefined
      prepared.onError(error)
      await sleep(retryMs, prepared.signal)
    }
  }
  return undefined
}

async function prepareOnce(prepared: PreparedPod): Promise<PodSources> {
  const { client, pod, podIp, folder, tokenRenewalShare: renewalShare } = prepared
  const tokens = keepTokens({ ...prepared, renewalShare, volumesFolder: volumesFolder(folder) })
  const [sources] = await Promise.all([gatherSources(client, pod), tokens])
  const context = { place: { pod, podIp, hostIp }, sources }
  writeVolumes(volumesFolder(folder), context)
  // What is missing is found now, not when the third container starts.
  for (const container of allContainers(pod)) resolveEnvironment(container, {}, context)
  return sources
}

export type ContainerPlace = {
  readonly container: Container
  readonly files: RunFolder
  readonly sources: PodSources
}

/** The process that stands for a container of a prepared pod. */
export function planContainer(prepared: PreparedPod, at: ContainerPlace): ProcessPlan {
  const { container, files, sources } = at
  const { pod, podIp, folder } = prepared
  const image = prepared.imageMap.get(container.image ?? '')
  assert(image !== undefined, 'pods with unmapped images are not started')
  const messagePath = container.terminationMessagePath ?? '/dev/termination-log'
  const base = {
    PATH: `${prepared.nodeFolder}:${searchPath}`,
    HOME: folder,
    HOSTNAME: pod.spec.hostname ?? pod.metadata.name,
    ...image.environment,
  }
  return planProcess(container, {
    image,
    environment: resolveEnvironment(container, base, { place: { pod, podIp, hostIp }, sources }),
    mounts: [
      { from: messagePath, to: files.messageFile },
      ...mountPaths(container, volumesFolder(folder)),
    ],
    agentEnvironment: { ATELIER_TERMINATION_LOG: files.messageFile },
    defaultWorkingFolder: folder,
  })
}
