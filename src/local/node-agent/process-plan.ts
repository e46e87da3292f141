import { expand } from './environment.ts'
import type { Image } from './image-map.ts'
import type { Container } from './pod.ts'
import { type PathRewrite, rewritePath } from './path-rewriting.ts'

/** Everything that is needed to start one container as a process. */
export type ProcessPlan = {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workingFolder: string
  /** For what is started in the container later: exec probes. */
  readonly rewrites: readonly PathRewrite[]
}

export type PlanSurroundings = {
  readonly image: Image
  /** Resolved values before path rewriting; see environment.ts. */
  readonly environment: ReadonlyMap<string, string>
  /** Volume mounts and the termination message path. */
  readonly mounts: readonly PathRewrite[]
  /** Variables that the agent itself sets; they win. */
  readonly agentEnvironment: Readonly<Record<string, string>>
  readonly defaultWorkingFolder: string
}

/** A container's process: command and args as Kubernetes combines them, paths moved to the host. */
export function planProcess(container: Container, surroundings: PlanSurroundings): ProcessPlan {
  const { image, environment, agentEnvironment } = surroundings
  const rewrites = [...surroundings.mounts, ...image.rewrites]
  const command = chosenCommand(container, image).map((part) =>
    rewritePath(expand(part, environment), rewrites),
  )
  const values = [...environment].map(([name, value]) => [name, rewritePath(value, rewrites)])
  const folder = container.workingDir ?? image.workingFolder ?? surroundings.defaultWorkingFolder
  return {
    command,
    environment: { ...Object.fromEntries(values), ...agentEnvironment },
    workingFolder: rewritePath(folder, rewrites),
    rewrites,
  }
}

/** `command` replaces entry point and CMD of the image, `args` alone replaces CMD. */
function chosenCommand(container: Container, image: Image): readonly string[] {
  const { command = [], args = [] } = container
  if (command.length > 0) return [...command, ...args]
  return [...image.command, ...(args.length > 0 ? args : image.args)]
}
