import { buildGoTool, type GoTool, goModuleFolder } from '../../../src/local/go-build.ts'
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
  const path = await build(tool)
  return { path, folder: await kueueFolder() }
}

export type KueueBenchmark = {
  readonly runner: string
  /** Its scheduler and controllers, without Jobs and pods. */
  readonly minimalKueue: string
  readonly folder: string
}

/** Kueue's own benchmark of its scheduler. */
export async function resolveKueueBenchmark(): Promise<KueueBenchmark> {
  const [runner, minimalKueue, folder] = await Promise.all([
    buildPart('runner'),
    buildPart('minimalkueue'),
    kueueFolder(),
  ])
  return { runner, minimalKueue, folder }
}

async function buildPart(part: string): Promise<string> {
  const program = `kueue-${part}`
  const title = `${program} from source: go build in tools/kueue, once`
  const name = `sigs.k8s.io/kueue/test/performance/scheduler/${part}`
  return await build({ ...tool, program, title, package: name })
}

async function build(program: GoTool): Promise<string> {
  const { programFolders } = readLocalConfig()
  return await buildGoTool(program, { programFolders, signal: new AbortController().signal })
}

async function kueueFolder(): Promise<string> {
  const module = { name: tool.name, module: 'sigs.k8s.io/kueue' }
  return await goModuleFolder(module, readLocalConfig().programFolders)
}
