import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../../shared/errors.ts'
import type { LocalProcess, Supervisor } from '../supervisor.ts'

const run = promisify(execFile)
const askTimeoutMs = 60_000
const programs = '/usr/lib/postgresql/18/bin'
/** Where the data folder appears inside of the root directory, and the cluster in it. */
const dataMount = '/mnt'
const cluster = `${dataMount}/18`

/**
 * Runs a command inside of the root directory with the data folder mounted, in a mount namespace
 * of its own: the mounts end with the command and are seen by nobody else. Every step is an exec,
 * so the process is the command itself.
 */
const enterScript = `
data=$1 root=$2 user=$3; shift 3
mount --bind "$data" "$root${dataMount}"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot --userspec="$user" "$root" "$@"`

export type PostgresOptions = {
  readonly root: string
  readonly folder: string
  readonly port: number
  readonly durable: boolean
}

/** Starts PostgreSQL with the DocumentDB extension; makes its data folder when there is none. */
export async function startPostgres(
  supervisor: Supervisor,
  options: PostgresOptions,
): Promise<LocalProcess> {
  await mkdir(options.folder, { recursive: true, mode: 0o700 })
  await makeCluster(options)
  const settings = {
    shared_preload_libraries: 'pg_cron,pg_documentdb_core,pg_documentdb',
    'cron.database_name': 'postgres',
    listen_addresses: '127.0.0.1',
    port: options.port,
    unix_socket_directories: '',
    max_connections: 200,
    fsync: options.durable ? 'on' : 'off',
    full_page_writes: options.durable ? 'on' : 'off',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command, ...args] = entering(options, 'postgres', [`${programs}/postgres`, '-D', cluster])
  return supervisor.start({
    name: 'postgres',
    command,
    args: [...args, ...flags],
    environment: { LC_ALL: 'C.UTF-8' },
    // SIGTERM would wait for all clients to leave; SIGINT is the fast and still clean shutdown.
    stopSignal: 'SIGINT',
    ready: () => createExtension(options),
  })
}

export async function postgresVersion(root: string): Promise<string> {
  const { stdout } = await run('chroot', [root, `${programs}/postgres`, '--version'], {
    timeout: askTimeoutMs,
  })
  const extension = await run('chroot', [
    root,
    'dpkg-query',
    '--show',
    '--showformat=${Version}',
    'postgresql-18-documentdb',
  ])
  return `${stdout.trim()}, DocumentDB ${extension.stdout.trim()}`
}

/** initdb works beside the final name, so that a broken one is made again. */
async function makeCluster(options: PostgresOptions): Promise<void> {
  const script = [
    `test -e ${cluster} && exit 0`,
    `rm -rf ${cluster}.new`,
    `mkdir -m 700 ${cluster}.new`,
    `chown postgres:postgres ${dataMount} ${cluster}.new`,
    'exec setpriv --reuid=postgres --regid=postgres --clear-groups -- sh -ec "' +
      `${programs}/initdb -D ${cluster}.new -U postgres --auth=trust --encoding=UTF8 ` +
      `--locale=C.UTF-8 ${options.durable ? '' : '--no-sync'} && mv ${cluster}.new ${cluster}"`,
  ].join('\n')
  const [command, ...args] = entering(options, 'root', ['sh', '-ec', script])
  await run(command, args, { timeout: askTimeoutMs }).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new AppError('platform.unavailable', `the database folder could not be made: ${why}`, {
      cause: error,
    })
  })
}

/** The first thing that works when PostgreSQL is ready; it does nothing when done already. */
async function createExtension(options: PostgresOptions): Promise<boolean> {
  const [command, ...args] = entering(options, 'postgres', [
    `${programs}/psql`,
    '--no-psqlrc',
    '--quiet',
    '--host=127.0.0.1',
    `--port=${options.port}`,
    '--username=postgres',
    '--command=CREATE EXTENSION IF NOT EXISTS documentdb CASCADE',
    'postgres',
  ])
  await run(command, args, { timeout: askTimeoutMs })
  return true
}

function entering(
  options: PostgresOptions,
  user: string,
  command: readonly string[],
): readonly [string, ...string[]] {
  const enter = ['--mount', '--propagation', 'private', 'sh', '-ec', enterScript, 'sh']
  return ['unshare', ...enter, resolve(options.folder), options.root, user, ...command]
}
