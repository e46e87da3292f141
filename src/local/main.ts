import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { systemClock } from '../platform/clock/system-clock.ts'
import { readLocalConfig } from '../platform/config/local.ts'
import { AppError, isAppError } from '../shared/errors.ts'
import { type BannerFacts, bannerText } from './banner.ts'
import { elapsed, printLine, runStep } from './bootstrap/steps.mjs'
import {
  type Atelier,
  openAdminClient,
  planFoundation,
  startAtelier,
  startFoundation,
} from './environment.ts'
import { makeFirstPicture } from './first-job.ts'
import { applySamples } from './manifests.ts'
import { databaseName, withDatabaseName } from './mongodb-uri.ts'
import { parseOptions, type StartOptions, usage } from './options.ts'
import { fixedPorts } from './ports.ts'
import { openRunRecord } from './run-record.ts'
import { Supervisor } from './supervisor.ts'

const stopping = new AbortController()

// Everything has been stopped by then; idle connections must not keep the program alive.
process.exit(await main())

/** Returns the exit code. */
async function main(): Promise<number> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, askToStop)
  try {
    const options = parseOptions(process.argv.slice(2), process.cwd())
    if (options.help) process.stdout.write(usage)
    else await run(options)
    return 0
  } catch (error) {
    if (stopping.signal.aborted) return 130
    printLine(`\natelier: ${messageOf(error)}\n`)
    return 1
  }
}

/** A second Ctrl-C changes nothing: what was started must be stopped in order. */
function askToStop(): void {
  if (!stopping.signal.aborted) printLine('\n  stopping …')
  stopping.abort(new AppError('platform.unavailable', 'stopped'))
}

function messageOf(error: unknown): string {
  if (isAppError(error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

async function run(options: StartOptions): Promise<void> {
  const { folder } = options
  const record = await openRunRecord(join(folder, 'run.json'))
  const logFolder = join(folder, 'logs')
  const supervisor = new Supervisor({ logFolder, record, signal: stopping.signal })
  try {
    const startedMs = performance.now()
    const atelier = await start(supervisor, folder)
    await makeFirstPicture({
      ...options,
      ...atelier,
      idempotencyKey: randomUUID(),
      signal: stopping.signal,
    })
    printLine(`  ✓ from start to picture in ${elapsed(performance.now() - startedMs)}`)
    if (!options.exit) await stayUp(supervisor, { ...options, ...atelier })
  } finally {
    await runStep('everything stopped', () => supervisor.stopAll(), { quietUnderMs: 200 })
  }
  // After all else, so that scripts can take the last line.
  if (options.exit) printLine(options.outputPath, process.stdout)
}

async function start(supervisor: Supervisor, folder: string): Promise<Atelier> {
  const { signal } = stopping
  const config = readLocalConfig()
  const ports = fixedPorts(config.portBase)
  const plan = await planFoundation(config, signal)
  const foundation = await startFoundation(supervisor, {
    plan,
    config,
    folder,
    ports,
    durable: true,
    clock: systemClock,
    signal,
  })
  for (const line of foundation.descriptions) printLine(`    ${line}`)
  const mongodbUri = withDatabaseName(foundation.mongodbUri, databaseName)
  const client = openAdminClient(foundation.kubeconfigPath)
  await applySamples(client, { pool: true })
  await client.close()
  return runStep('api, controller, node agent', () =>
    startAtelier(supervisor, {
      ...foundation,
      mongodbUri,
      folder,
      ports,
      clock: systemClock,
      printMail: (line) => printLine(line, process.stdout),
      signal,
    }),
  )
}

/** Says what to do next; until Ctrl-C, or until a part ends by itself. */
async function stayUp(
  supervisor: Supervisor,
  facts: Omit<BannerFacts, 'currentFolder'>,
): Promise<void> {
  printLine(bannerText({ ...facts, currentFolder: process.cwd() }), process.stdout)
  const stopped = new Promise<undefined>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const failure = await Promise.race([stopped, supervisor.failure])
  if (failure !== undefined) throw failure
}
