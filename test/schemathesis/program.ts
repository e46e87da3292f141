import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, makeOnce, runLogged } from '../../src/local/bootstrap/steps.mjs'
import { installPackages, whyNoPackages } from '../../src/local/debian.ts'
import { askProgram, findProgram, isAtLeast } from '../../src/local/programs.ts'
import { projectFolder } from '../../src/local/project.ts'
import { childEnvironment } from '../../src/platform/config/environment.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'

const pythonMinimum = '3.9'
const requirementsPath = join(projectFolder, 'test/schemathesis/requirements.txt')
/** Tells its version only when it can make virtual environments: Debian leaves that part out. */
const tellVersion = 'import sys, venv, ensurepip; print("%d.%d.%d" % sys.version_info[:3])'

type Python = { readonly path: string; readonly version: string }

/**
 * A Python that has schemathesis, made once per content of requirements.txt and kept in the cache.
 * @throws Error when there is no Python and none can be installed, or when pip fails.
 */
export async function schemathesisPython(signal: AbortSignal): Promise<string> {
  const python = await resolvePython(signal)
  const requirements = await readFile(requirementsPath, 'utf8')
  const key = createHash('sha256').update(`${python.version}\n${requirements}`).digest('hex')
  const folder = await makeOnce({
    folder: join(cacheFolder(), 'schemathesis', key.slice(0, 16)),
    title: 'schemathesis (from PyPI)',
    make: async (temporary) => await fill(temporary, { python: python.path, signal }),
  })
  return join(folder, 'bin', 'python')
}

type Filling = { readonly python: string; readonly signal: AbortSignal }

/** The folder is renamed afterwards: its own python may be run then, its scripts may not. */
async function fill(folder: string, { python, signal }: Filling): Promise<void> {
  const common = {
    environment: childEnvironment({ PIP_DISABLE_PIP_VERSION_CHECK: '1' }),
    logFile: join(cacheFolder(), 'logs', 'schemathesis.log'),
    signal,
  }
  await runLogged({ ...common, command: python, args: ['-m', 'venv', folder] })
  const install = ['-m', 'pip', 'install', '--no-deps', '--requirement', requirementsPath]
  await runLogged({ ...common, command: join(folder, 'bin', 'python'), args: install })
}

async function resolvePython(signal: AbortSignal): Promise<Python> {
  const { programFolders } = readLocalConfig()
  const found = await findPython(programFolders)
  if (found !== undefined) return found
  const reason = await whyNoPackages(programFolders)
  if (reason !== undefined) throw noPython(reason)
  await installPackages(['python3-venv'], signal)
  // Debian's own: another python3 that comes first on PATH still lacks what was missing.
  const installed = await findPython(['/usr/bin'])
  if (installed !== undefined) return installed
  throw noPython('the Debian package is older')
}

async function findPython(folders: readonly string[]): Promise<Python | undefined> {
  const path = await findProgram('python3', folders)
  if (path === undefined) return undefined
  const version = await askProgram(path, ['-c', tellVersion]).catch(() => undefined)
  return version !== undefined && isAtLeast(version, pythonMinimum) ? { path, version } : undefined
}

function noPython(reason: string): Error {
  return new Error(`schemathesis needs python3 ${pythonMinimum} or later with venv; ${reason}`)
}
