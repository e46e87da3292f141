import { buildGoTool, goModuleFolder } from '../../../src/local/go-build.ts'
import { readLocalConfig } from '../../../src/platform/config/local.ts'

export type KueueProgram = {
  readonly path: string
  /** Of the module's own files: CRDs and webhook configurations. */
  readonly folder: string
}

const tool = {
  name: 'kueue',
  title: 'Kueue from source: go build in tools/kueue, once, some minutes',
  package: 'sigs.k8s.io/kueue/cmd/kueue',
} as const

/** The real Kueue, built when it is first needed. */
export async function resolveKueue(): Promise<KueueProgram> {
  const { programFolders } = readLocalConfig()
  const { signal } = new AbortController()
  const path = await buildGoTool(tool, { programFolders, signal })
  const module = { name: tool.name, module: 'sigs.k8s.io/kueue' }
  return { path, folder: await goModuleFolder(module, programFolders) }
}
