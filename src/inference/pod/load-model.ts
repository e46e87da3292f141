import { readManifest, type ReadManifest } from '../models/manifest.ts'
import type { Runner } from '../runner/parent.ts'

export type LoadedModel = {
  readonly pack: Promise<ReadManifest>
  /** Fulfilled when the runner can generate. */
  readonly loaded: Promise<void>
}

/** Begins to load at once, while the caller still asks what there is to do. */
export function startModel(options: {
  readonly runner: Runner
  readonly modelFolder: string
  readonly threads: number
}): LoadedModel {
  const { runner, modelFolder: folder, threads } = options
  const pack = readManifest(folder)
  const loaded = pack.then(({ manifest }) =>
    runner.load({ folder, files: manifest.files, threads }),
  )
  // Both are awaited later; a failure until then is not an unhandled one.
  pack.catch(() => {})
  loaded.catch(() => {})
  return { pack, loaded }
}
