import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { LocalConfig } from '../../platform/config/local.ts'
import { unreachable } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { buildGoTool } from '../go-build.ts'
import type { Ports } from '../ports.ts'
import { findProgram, isAtLeast, versionOf } from '../programs.ts'
import type { Supervisor } from '../supervisor.ts'
import { together } from '../together.ts'
import { isServing, probeDatabase } from './database-probe.ts'
import { goSettings } from './go-settings.ts'
import { postgresVersion, startPostgres } from './postgres.ts'
import { makePostgresRoot } from './postgres-root.ts'

/** How the MongoDB protocol is served here. */
export type DatabasePlan =
  | { readonly kind: 'Existing'; readonly uri: string }
  | { readonly kind: 'Mongod'; readonly program: string }
  | { readonly kind: 'DocumentDb'; readonly root: string; readonly program: string }

export type DatabaseOptions = {
  readonly folder: string
  readonly ports: Ports
  readonly durable: boolean
}

const ferretDb = {
  name: 'documentdb',
  title: 'FerretDB: go build in tools/documentdb, once, about 1 min',
}
const mongodMinimum = '6.0'

/** MONGODB_URI, then mongod on PATH, then tools/documentdb over PostgreSQL with DocumentDB. */
export async function planDatabase(
  config: LocalConfig,
  signal: AbortSignal,
): Promise<DatabasePlan> {
  if (config.mongodbUri !== undefined) return { kind: 'Existing', uri: config.mongodbUri }
  const program = await findProgram('mongod', config.programFolders)
  const version = program === undefined ? undefined : await versionOf(program, ['--version'])
  if (program !== undefined && isAtLeast(version, mongodMinimum)) return { kind: 'Mongod', program }
  const { programFolders } = config
  try {
    const [root, documentDb] = await together(signal, (either) => [
      makePostgresRoot({ programFolders, signal: either }),
      buildGoTool(ferretDb, { programFolders, signal: either }),
    ])
    return { kind: 'DocumentDb', root, program: documentDb }
  } catch (error) {
    signal.throwIfAborted()
    throw new AppError('platform.misconfigured', missingMessage(version, error), { cause: error })
  }
}

/** Starts what the plan says and checks that the engine is fit; returns its address. */
export async function startDatabase(
  supervisor: Supervisor,
  plan: DatabasePlan,
  options: DatabaseOptions,
): Promise<{ readonly uri: string; readonly description: string }> {
  const { uri, source } = await startEngine(supervisor, plan, options)
  const probe = await probeDatabase(uri)
  const abilities = [
    `transactions: ${probe.transactions ? 'yes' : 'no'}`,
    `change streams: ${probe.changeStreams ? 'yes' : 'no'}`,
  ].join(', ')
  return { uri, description: `${probe.engine} (${source}); ${abilities}` }
}

type Engine = { readonly uri: string; readonly source: string }

async function startEngine(
  supervisor: Supervisor,
  plan: DatabasePlan,
  options: DatabaseOptions,
): Promise<Engine> {
  switch (plan.kind) {
    case 'Existing':
      return { uri: plan.uri, source: 'MONGODB_URI' }
    case 'Mongod':
      return startMongod(supervisor, plan.program, options)
    case 'DocumentDb':
      return startDocumentDb(supervisor, plan, options)
    default:
      return unreachable(plan)
  }
}

async function startMongod(
  supervisor: Supervisor,
  program: string,
  { folder, ports }: DatabaseOptions,
): Promise<Engine> {
  const data = join(folder, 'mongod')
  await mkdir(data, { recursive: true })
  const uri = uriOf(ports.mongodb)
  await supervisor.start({
    name: 'mongod',
    command: program,
    args: ['--dbpath', data, '--bind_ip', '127.0.0.1', '--port', String(ports.mongodb)],
    ready: () => isServing(uri),
  })
  return { uri, source: program }
}

async function startDocumentDb(
  supervisor: Supervisor,
  plan: Extract<DatabasePlan, { kind: 'DocumentDb' }>,
  { folder, ports, durable }: DatabaseOptions,
): Promise<Engine> {
  const data = join(folder, 'postgres')
  await startPostgres(supervisor, {
    root: plan.root,
    folder: data,
    port: ports.postgres,
    durable,
  })
  const uri = uriOf(ports.mongodb)
  await supervisor.start({
    name: 'documentdb',
    environment: goSettings({ durable }),
    command: plan.program,
    args: [
      `--listen=127.0.0.1:${ports.mongodb}`,
      `--postgresql-url=postgres://postgres@127.0.0.1:${ports.postgres}/postgres`,
      `--state-folder=${join(folder, 'documentdb')}`,
    ],
    ready: () => isServing(uri),
  })
  return { uri, source: await postgresVersion(plan.root) }
}

function uriOf(port: number): string {
  return `mongodb://127.0.0.1:${port}`
}

function missingMessage(mongodVersion: string | undefined, error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error)
  const found = mongodVersion === undefined ? 'not found' : `found ${mongodVersion}, too old`
  return [
    'No database. Looked, in this order, at:',
    '  1. MONGODB_URI, the address of a MongoDB: not set',
    `  2. mongod ${mongodMinimum} or later on PATH: ${found}`,
    `  3. tools/documentdb on PostgreSQL 18 with DocumentDB (Debian, root, Go): ${reason}`,
    'Set MONGODB_URI, or install MongoDB, or run as root on Debian with Go 1.25 or later.',
  ].join('\n')
}
