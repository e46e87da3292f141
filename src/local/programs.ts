import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** Finding programs on this machine and asking them short questions. */
const run = promisify(execFile)
const askTimeoutMs = 15_000

/** The first of the folders that holds the program, as a path; undefined when none does. */
export async function findProgram(
  name: string,
  folders: readonly string[],
): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name)
    if (await isExecutable(path)) return path
  }
  return undefined
}

/** What the program prints on standard output. Rejects when it fails or takes over 15 s. */
export async function askProgram(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(command, args, { timeout: askTimeoutMs, maxBuffer: 16_000_000 })
  return stdout.trim()
}

/** The first “1.2” or “1.2.3” of a version text; undefined when the program does not tell. */
export async function versionOf(
  command: string,
  args: readonly string[],
): Promise<string | undefined> {
  const text = await askProgram(command, args).catch(() => '')
  return /\d+\.\d+(\.\d+)?/.exec(text)?.[0]
}

/** Compares dotted versions number by number. */
export function isAtLeast(version: string | undefined, minimum: string): boolean {
  if (version === undefined) return false
  const parts = version.split('.').map(Number)
  const wanted = minimum.split('.').map(Number)
  const differing = wanted.findIndex((part, index) => (parts[index] ?? 0) !== part)
  return differing === -1 || (parts[differing] ?? 0) > (wanted[differing] ?? 0)
}

export function isRoot(): boolean {
  return process.getuid?.() === 0
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
