import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { childEnvironment } from '../platform/config/environment.ts'

/** Runs a program on our own terminal and returns the exit code that a shell would see. */
export async function runInForeground(
  command: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: childEnvironment(environment),
  })
  // The program gets Ctrl-C from the terminal itself and decides when to end.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => void child.kill('SIGTERM'))
  return new Promise((resolveEnd, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      resolveEnd(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    )
  })
}
