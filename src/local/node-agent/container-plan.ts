import { join } from 'node:path'
import type { ProcessStart, RunFolder } from './container-process.ts'
import { type PodPlace, expand, resolveEnvironment } from './environment.ts'
import type { Image, PathRewrite } from './image-map.ts'
import type { Container } from './pod.ts'

const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export type ProcessPlan = ProcessStart & {
  /** For what is started in the container later: exec probes. */
  readonly rewrites: readonly PathRewrite[]
}

type PlanContext = {
  readonly place: PodPlace
  readonly image: Image
  readonly files: RunFolder
}

/**
 * A container's process: `command` replaces the image's, `args` follow; paths moved to the host.
 * Throws when a variable refers to what is not there, see resolveEnvironment.
 */
export async function planContainer(
  container: Container,
  { place, image, files }: PlanContext,
): Promise<ProcessPlan> {
  const { terminationMessagePath = '/dev/termination-log', volumeMounts = [] } = container
  const { command = image.command, args = [], workingDir = image.workingFolder } = container
  const { pod, folder } = place
  const base = { PATH: searchPath, HOME: folder, HOSTNAME: pod.metadata.name, ...image.environment }
  const variables = await resolveEnvironment(container, base, place)
  const rewrites: readonly PathRewrite[] = [
    { from: terminationMessagePath, to: files.messageFile },
    ...volumeMounts.map(({ name, mountPath, subPath = '' }) => ({
      from: mountPath,
      to: join(volumesFolder(folder), name, subPath),
    })),
    ...image.rewrites,
  ]
  const environment = [...variables].map(([name, value]) => [name, rewritePath(value, rewrites)])
  return {
    command: [...command, ...args].map((part) => rewritePath(expand(part, variables), rewrites)),
    environment: {
      ...Object.fromEntries(environment),
      ATELIER_TERMINATION_LOG: files.messageFile,
    },
    workingFolder: rewritePath(workingDir ?? folder, rewrites),
    rewrites,
  }
}

export function volumesFolder(podFolder: string): string {
  return join(podFolder, 'volumes')
}

/**
 * Processes have no mount namespace, so a text that *starts with* a mounted path is turned into
 * the path on this machine; paths in the middle of a text stay. The longest mounted path wins,
 * as with nested mounts; between equals the first one, so volumes come before image paths.
 */
export function rewritePath(text: string, rewrites: readonly PathRewrite[]): string {
  const [best] = rewrites
    .map(({ from, to }) => ({ from: withoutEndSlash(from), to: withoutEndSlash(to) }))
    .filter(({ from }) => text === from || text.startsWith(`${from}/`))
    .toSorted((left, right) => right.from.length - left.from.length)
  return best === undefined ? text : best.to + text.slice(best.from.length)
}

function withoutEndSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
