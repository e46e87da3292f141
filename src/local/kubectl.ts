import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { childEnvironment } from '../platform/config/environment.ts'
import { readLocalConfig } from '../platform/config/local.ts'
import { AppError } from '../shared/errors.ts'
import { resolveKubectl } from './components/kubernetes-programs.ts'

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

async function runInForeground(
  command: string,
  allArgs: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(command, allArgs, {
    stdio: 'inherit',
    env: childEnvironment(environment),
  })
  // kubectl gets Ctrl-C from the terminal itself and decides when to end.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => void child.kill('SIGTERM'))
  return new Promise((resolveEnd, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      resolveEnd(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    )
  })
}
