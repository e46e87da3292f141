import { type Manifest, readManifest, type ReadManifest } from '../models/manifest.ts'
import { mayLoadEarly } from '../models/memory-need.ts'
import type { ExecutionProvider } from '../runtime/execution-provider.ts'
import type { Runner } from '../runner/parent.ts'
import type { LoadRequest } from '../runner/protocol.ts'

export type PodModel = {
  readonly pack: Promise<ReadManifest>
  /** Fulfilled when the runner can generate; begins to load if that has not begun. */
  readonly load: () => Promise<void>
}

/** How the models of one runner are run. */
export type ModelProfile = {
  readonly threads: number
  readonly provider: ExecutionProvider
}

export type ModelSource = ModelProfile & {
  readonly runner: Runner
  readonly modelFolder: string
  readonly memoryBytes: number
}

/**
 * Begins to load at once, while the caller still asks what there is to do, unless some job of this
 * model would not fit into the memory: then the job is looked at first.
 */
export function startModel(source: ModelSource): PodModel {
  const pack = readManifest(source.modelFolder)
  let loading: Promise<void> | undefined
  const load = (): Promise<void> =>
    (loading ??= pack.then(({ manifest }) => {
      return source.runner.load(loadRequest(source.modelFolder, manifest, source))
    }))
  pack
    .then(({ manifest }) => (mayLoadEarly(manifest, source.memoryBytes) ? load() : undefined))
    // Whoever awaits pack or load meets the failure; until then it is not an unhandled one.
    .catch(() => {})
  return { pack, load }
}

export function loadRequest(
  folder: string,
  { files, preview }: Manifest,
  { threads, provider }: ModelProfile,
): LoadRequest {
  return { folder, files, threads, provider, ...(preview && { preview }) }
}
