import { readManifest, type ReadManifest } from '../models/manifest.ts'
import { mayLoadEarly } from '../models/memory-need.ts'
import type { ExecutionProvider } from '../runtime/execution-provider.ts'
import type { Runner } from '../runner/parent.ts'

export type PodModel = {
  readonly pack: Promise<ReadManifest>
  /** Fulfilled when the runner can generate; begins to load if that has not begun. */
  readonly load: () => Promise<void>
}

export type ModelSource = {
  readonly runner: Runner
  readonly modelFolder: string
  readonly threads: number
  readonly provider: ExecutionProvider
  readonly memoryBytes: number
}

/**
 * Begins to load at once, while the caller still asks what there is to do, unless some job of this
 * model would not fit into the memory: then the job is looked at first.
 */
export function startModel(source: ModelSource): PodModel {
  const pack = readManifest(source.modelFolder)
  let loading: Promise<void> | undefined
  const load = (): Promise<void> => (loading ??= pack.then((read) => loadPack(source, read)))
  pack
    .then(({ manifest }) => (mayLoadEarly(manifest, source.memoryBytes) ? load() : undefined))
    // Whoever awaits pack or load meets the failure; until then it is not an unhandled one.
    .catch(() => {})
  return { pack, load }
}

async function loadPack(source: ModelSource, { manifest }: ReadManifest): Promise<void> {
  const { runner, modelFolder: folder, threads, provider } = source
  const { files, preview } = manifest
  await runner.load({ folder, files, threads, provider, ...(preview && { preview }) })
}
