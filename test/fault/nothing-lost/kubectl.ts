import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { testEnvironment } from '../../support/environment.ts'

const run = promisify(execFile)

/** What a human does: the real kubectl, as administrator. Throws what it says when it fails. */
export async function kubectl(...args: readonly string[]): Promise<string> {
  const { kubectl: command, kubeconfigPath } = testEnvironment()
  const [program = '', ...first] = command
  const { stdout } = await run(program, [...first, '--kubeconfig', kubeconfigPath, ...args])
  return stdout
}
