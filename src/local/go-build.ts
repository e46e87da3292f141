import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { childEnvironment } from '../platform/config/environment.ts'
import { AppError } from '../shared/errors.ts'
import { cacheFolder, makeOnce, runLogged } from './bootstrap/steps.mjs'
import { projectFolder } from './project.ts'
import { askProgram, findProgram, isAtLeast, versionOf } from './programs.ts'

const goMinimum = '1.25'
/** Where the official archive puts Go, often without a place on PATH. */
const usualFolders = ['/usr/local/go/bin', '/usr/lib/go/bin']

export type GoTool = {
  /** Folder of tools/. */
  readonly name: string
  /** Absent: named as its folder. */
  readonly program?: string
  readonly title: string
  /** Of a module that tools/NAME requires; absent: the program is tools/NAME itself. */
  readonly package?: string
  readonly linkerFlags?: (goMod: string) => readonly string[]
}

/**
 * Builds a program of tools/NAME once per content of its sources and returns the program's path.
 * Versions of everything it links are part of that content: they stand in go.mod and go.sum.
 * @throws AppError platform.misconfigured without Go; Error with the log's end when it fails.
 */
export async function buildGoTool(
  tool: GoTool,
  options: { readonly programFolders: readonly string[]; readonly signal: AbortSignal },
): Promise<string> {
  const source = join(projectFolder, 'tools', tool.name)
  const key = await keyOf(source)
  const { program = tool.name } = tool
  const folder = await makeOnce({
    folder: join(cacheFolder(), program, key),
    title: tool.title,
    make: async (temporary) => {
      const go = await findGo(options.programFolders, tool.name)
      const goMod = await readFile(join(source, 'go.mod'), 'utf8')
      const linker = ['-s', '-w', ...(tool.linkerFlags?.(goMod) ?? [])].join(' ')
      await runLogged({
        command: go,
        args: [
          'build',
          '-trimpath',
          '-ldflags',
          linker,
          '-o',
          join(temporary, program),
          tool.package ?? '.',
        ],
        cwd: source,
        environment: childEnvironment({ GOFLAGS: '-mod=readonly -buildvcs=false', GOWORK: 'off' }),
        logFile: join(cacheFolder(), 'logs', `${program}.log`),
        signal: options.signal,
      })
    },
  })
  return join(folder, program)
}

/**
 * Where the files of a module lie that tools/NAME requires; they are downloaded when needed.
 * @throws AppError platform.misconfigured without Go.
 */
export async function goModuleFolder(
  { name, module }: { readonly name: string; readonly module: string },
  programFolders: readonly string[],
): Promise<string> {
  const go = await findGo(programFolders, name)
  const source = join(projectFolder, 'tools', name)
  const answer = await askProgram(go, ['-C', source, 'mod', 'download', '-json', module])
  return moduleAnswer.parse(JSON.parse(answer)).Dir
}

const moduleAnswer = z.object({ Dir: z.string() })

async function findGo(programFolders: readonly string[], tool: string): Promise<string> {
  const go = await findProgram('go', [...programFolders, ...usualFolders])
  const version = go === undefined ? undefined : await versionOf(go, ['version'])
  if (go !== undefined && isAtLeast(version, goMinimum)) return go
  throw new AppError(
    'platform.misconfigured',
    `tools/${tool} must be built and needs Go ${goMinimum} or later; ` +
      (go === undefined ? 'no go was found on PATH.' : `${go} is ${version ?? 'unknown'}.`),
  )
}

async function keyOf(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) => /^go\.(mod|sum)$|\.go$/.test(name))
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`)
  for (const name of names.toSorted()) {
    hash.update(`\n${name}\n`).update(await readFile(join(folder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}
