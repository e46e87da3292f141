import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readLocalConfig } from '../platform/config/local.ts'
import { AppError } from '../shared/errors.ts'
import { runInForeground } from './foreground.ts'
import { databaseName, withDatabaseName } from './mongodb-uri.ts'
import { fixedPorts } from './ports.ts'
import { projectFolder } from './project.ts'

/** npm run admin -- [--data FOLDER] ARGUMENTS: the admin program on the embedded environment. */
const { folder, args } = readArguments(process.argv.slice(2))
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`admin: ${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})

async function main(): Promise<number> {
  const { mongodbUri, portBase } = readLocalConfig()
  const secretsFolder = join(folder, 'secrets')
  if (!isForHelp(args) && !existsSync(secretsFolder)) {
    throw new AppError(
      'platform.misconfigured',
      `there is no environment in ${folder} yet: run npm start first`,
    )
  }
  const uri = mongodbUri ?? `mongodb://127.0.0.1:${fixedPorts(portBase).mongodb}`
  const program = join(projectFolder, 'src/api/admin-cli/main.ts')
  return await runInForeground(process.execPath, [program, ...args], {
    MONGODB_URI: withDatabaseName(uri, databaseName),
    ATELIER_SECRETS_FOLDER: secretsFolder,
  })
}

function isForHelp(all: readonly string[]): boolean {
  return all.length === 0 || all.includes('--help') || all.includes('-h')
}

function readArguments(all: readonly string[]) {
  const isGiven = all[0] === '--data' && all[1] !== undefined
  return {
    folder: resolve(isGiven ? (all[1] ?? '') : '.atelier'),
    args: isGiven ? all.slice(2) : all,
  }
}
