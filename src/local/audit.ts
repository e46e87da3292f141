import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readLocalConfig } from '../platform/config/local.ts'
import { AppError } from '../shared/errors.ts'
import { runInForeground } from './foreground.ts'
import { databaseName, withDatabaseName } from './mongodb-uri.ts'
import { fixedPorts } from './ports.ts'
import { projectFolder } from './project.ts'

/** npm run audit [-- [--data FOLDER] ARGUMENTS]: the audit program on the embedded environment. */
const couldNotLook = 2
const { folder, args } = readArguments(process.argv.slice(2))
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`audit: ${error instanceof Error ? error.message : String(error)}\n`)
  return couldNotLook
})

async function main(): Promise<number> {
  const config = readLocalConfig()
  const objectsFolder = join(folder, 'objects')
  const kubeconfig = config.kubeconfigPath ?? join(folder, 'kubernetes/identities/admin.kubeconfig')
  const isThere = existsSync(objectsFolder) && existsSync(kubeconfig)
  if (!isThere && !args.includes('--help') && !args.includes('-h')) {
    throw new AppError(
      'platform.misconfigured',
      `there is no environment in ${folder} yet: run npm start first`,
    )
  }
  const uri = config.mongodbUri ?? `mongodb://127.0.0.1:${fixedPorts(config.portBase).mongodb}`
  const program = join(projectFolder, 'src/api/audit-cli/main.ts')
  return await runInForeground(process.execPath, [program, ...args], {
    MONGODB_URI: withDatabaseName(uri, databaseName),
    KUBECONFIG: kubeconfig,
    ATELIER_OBJECTS_FOLDER: objectsFolder,
  })
}

function readArguments(all: readonly string[]) {
  const isGiven = all[0] === '--data' && all[1] !== undefined
  return {
    folder: resolve(isGiven ? (all[1] ?? '') : '.atelier'),
    args: isGiven ? all.slice(2) : all,
  }
}
