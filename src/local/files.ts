import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes a file that only we can read, whole or not at all. Returns its path. */
export async function writeSecretFile(path: string, text: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.new-${process.pid}`
  await writeFile(temporary, text, { mode: 0o600 })
  await rename(temporary, path)
  return path
}

/** The file's text; made and kept when it is not there yet. */
export async function keptText(
  path: string,
  make: () => string | Promise<string>,
): Promise<string> {
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined) return kept
  const made = await make()
  await writeSecretFile(path, made)
  return made
}
