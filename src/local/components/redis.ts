import { mkdir } from 'node:fs/promises'
import type { LocalConfig } from '../../platform/config/local.ts'
import { AppError } from '../../shared/errors.ts'
import { runStep } from '../bootstrap/steps.mjs'
import { installPackages, whyNoPackages } from '../debian.ts'
import { findProgram, versionOf } from '../programs.ts'
import { repliesWith } from '../ready.ts'
import type { LocalProcess, Supervisor } from '../supervisor.ts'

export type RedisPlan =
  | { readonly kind: 'Existing'; readonly url: string }
  | { readonly kind: 'Server'; readonly program: string; readonly description: string }

const programNames = ['redis-server', 'valkey-server'] as const

/** REDIS_URL, then redis-server or valkey-server on PATH, then the Debian package (as root). */
export async function planRedis(config: LocalConfig, signal: AbortSignal): Promise<RedisPlan> {
  if (config.redisUrl !== undefined) return { kind: 'Existing', url: config.redisUrl }
  const found = await findServer(config.programFolders)
  if (found !== undefined) return describe(found)
  const refused = await whyNoPackages(config.programFolders)
  const reason = refused ?? (await installServer(signal))
  const installed = await findServer(config.programFolders)
  if (installed !== undefined) return describe(installed)
  throw new AppError('platform.misconfigured', missingMessage(reason))
}

/** Keeps nothing that matters: an append-only file saves work after a restart, no more. */
export async function startRedis(
  supervisor: Supervisor,
  options: { readonly program: string; readonly folder: string; readonly port: number },
): Promise<LocalProcess> {
  await mkdir(options.folder, { recursive: true })
  const settings = {
    bind: '127.0.0.1',
    port: options.port,
    dir: options.folder,
    appendonly: 'yes',
    save: '',
    // Queues must not lose entries silently: when memory is full, writing fails.
    'maxmemory-policy': 'noeviction',
    daemonize: 'no',
  }
  const { port } = options
  return supervisor.start({
    name: 'redis',
    command: options.program,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ready: (signal) => repliesWith({ port, line: 'PING', expected: '+PONG', signal }),
  })
}

async function findServer(folders: readonly string[]): Promise<string | undefined> {
  for (const name of programNames) {
    const program = await findProgram(name, folders)
    if (program !== undefined) return program
  }
  return undefined
}

async function describe(program: string): Promise<RedisPlan> {
  const version = await versionOf(program, ['--version'])
  return { kind: 'Server', program, description: `${program} ${version ?? '(version unknown)'}` }
}

/** undefined when installed, otherwise why not. */
async function installServer(signal: AbortSignal): Promise<string | undefined> {
  const faults: string[] = []
  for (const name of programNames) {
    try {
      await runStep(`${name} from Debian`, () => installPackages([name], signal))
      return undefined
    } catch (error) {
      signal.throwIfAborted()
      faults.push(error instanceof Error ? error.message : String(error))
    }
  }
  return faults.join('\n')
}

function missingMessage(reason: string | undefined): string {
  return [
    'No Redis. Looked, in this order, at:',
    '  1. REDIS_URL, the address of a Redis: not set',
    `  2. ${programNames.join(', then ')} on PATH: not found`,
    `  3. the Debian packages of these names: ${reason ?? 'installed, but still not on PATH'}`,
    'Set REDIS_URL, or install redis-server.',
  ].join('\n')
}
