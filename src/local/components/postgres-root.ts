import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { childEnvironment } from '../../platform/config/environment.ts'
import { AppError } from '../../shared/errors.ts'
import { cacheFolder, makeOnce, runLogged } from '../bootstrap/steps.mjs'
import {
  aptProxy,
  debianArchives,
  findSystemProgram,
  installPackages,
  updateLists,
  whyNoPackages,
} from '../debian.ts'

/** The package lies in Debian's testing release first; what testing has lost, unstable may have. */
const releases = ['forky', 'sid'] as const
const databasePackage = 'postgresql-18-documentdb'
/** Change it when the content of the root directory changes: it is the key of the cache. */
const rootFormat = `${databasePackage}-1`

const needless = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/i18n',
  'var/cache/apt',
  'var/lib/apt/lists',
  // The cluster that the package's own scripts made; ours lies in the data folder.
  'var/lib/postgresql/18',
]

export type RootOptions = {
  readonly programFolders: readonly string[]
  readonly signal: AbortSignal
}

/**
 * A private root directory with PostgreSQL 18 and the DocumentDB extension, made by debootstrap
 * from the archive that apt uses here. Nothing of it is installed on the machine itself.
 * @throws AppError platform.misconfigured where that cannot be done, Error when the archive fails.
 */
export async function makePostgresRoot(options: RootOptions): Promise<string> {
  return makeOnce({
    folder: join(cacheFolder(), 'postgres-root', `${rootFormat}-${process.arch}`),
    title: `PostgreSQL 18 + DocumentDB: debootstrap of Debian ${releases[0]}, once, about 2 min`,
    make: async (temporary) => {
      const reason = await whyNoPackages(options.programFolders)
      if (reason !== undefined) throw new AppError('platform.misconfigured', reason)
      const debootstrap = await findDebootstrap(options)
      await makeFromReleases(debootstrap, temporary, options.signal)
      await Promise.all(
        needless.map((path) => rm(join(temporary, path), { recursive: true, force: true })),
      )
    },
  })
}

async function findDebootstrap(options: RootOptions): Promise<string> {
  const found = await findSystemProgram('debootstrap', options.programFolders)
  if (found !== undefined) return found
  await installPackages(['debootstrap', 'debian-archive-keyring'], options.signal)
  const installed = await findSystemProgram('debootstrap', options.programFolders)
  if (installed !== undefined) return installed
  throw new AppError('platform.misconfigured', 'debootstrap is not there after its installation')
}

async function makeFromReleases(
  debootstrap: string,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const archive = await findArchive(signal)
  const faults: string[] = []
  for (const release of releases) {
    const fault = await bootstrap({ debootstrap, release, folder, archive, signal })
    if (fault === undefined) return
    signal.throwIfAborted()
    faults.push(`Debian ${release}: ${fault}`)
    await rm(folder, { recursive: true, force: true })
  }
  throw new AppError(
    'platform.unavailable',
    `the Debian archive did not give ${databasePackage}:\n${faults.join('\n')}`,
  )
}

type Bootstrap = {
  readonly debootstrap: string
  readonly release: string
  readonly folder: string
  readonly archive: string
  readonly signal: AbortSignal
}

/** undefined when done, otherwise what went wrong. */
async function bootstrap(options: Bootstrap): Promise<string | undefined> {
  const { debootstrap, release, folder, archive, signal } = options
  try {
    await runLogged({
      // Namespaces of its own: whatever debootstrap mounts or starts ends with it, also when killed.
      command: 'unshare',
      args: [
        '--mount',
        '--propagation=private',
        '--pid',
        '--fork',
        '--kill-child',
        debootstrap,
        '--variant=minbase',
        `--include=${databasePackage}`,
        release,
        folder,
        archive,
        // Older debootstraps know no later release by name; the script of unstable fits all.
        'sid',
      ],
      environment: childEnvironment({ ...(await aptProxy()), DEBIAN_FRONTEND: 'noninteractive' }),
      logFile: join(cacheFolder(), 'logs', 'debootstrap.log'),
      signal,
    })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function findArchive(signal: AbortSignal): Promise<string> {
  const [known] = await debianArchives()
  if (known !== undefined) return known
  await updateLists(signal)
  const [archive] = await debianArchives()
  if (archive !== undefined) return archive
  throw new AppError('platform.misconfigured', "apt's sources name no Debian archive")
}
