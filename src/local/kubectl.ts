import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readLocalConfig } from '../platform/config/local.ts'
import { AppError } from '../shared/errors.ts'
import { resolveKubectl } from './components/kubernetes-programs.ts'
import { runInForeground } from './foreground.ts'

/** npm run kubectl -- [--data FOLDER] ARGUMENTS: kubectl as admin of the embedded cluster. */
const config = readLocalConfig()
const { folder, args } = readArguments(process.argv.slice(2))
process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`kubectl: ${error instanceof Error ? error.message : String(error)}\n`)
  return 1
})

async function main(): Promise<number> {
  const kubeconfig = config.kubeconfigPath ?? join(folder, 'kubernetes/identities/admin.kubeconfig')
  if (!existsSync(kubeconfig)) {
    throw new AppError(
      'platform.misconfigured',
      `there is no cluster in ${folder} yet: run npm start first`,
    )
  }
  const [command, ...first] = await resolveKubectl(config, new AbortController().signal)
  return runInForeground(command, [...first, ...args], { KUBECONFIG: kubeconfig })
}

function readArguments(all: readonly string[]) {
  const isGiven = all[0] === '--data' && all[1] !== undefined
  return {
    folder: resolve(isGiven ? (all[1] ?? '') : '.atelier'),
    args: isGiven ? all.slice(2) : all,
  }
}
