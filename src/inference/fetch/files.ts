import { constants } from 'node:fs'
import { lstat, mkdir, open, readdir, realpath, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fetchError } from './fetch-fault.ts'

/**
 * Makes the folder of a file below `root`, which is a real path, and returns where the file goes.
 * @throws AppError model.fetch_failed when a link or a file lies on the way.
 */
export async function placeFor(root: string, file: string): Promise<string> {
  const target = path.join(root, file)
  const folder = path.dirname(target)
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw fetchError(file, 'something that is no folder lies on its way', cause)
  })
  if ((await realpath(folder)) === folder) return target
  throw fetchError(file, 'leads out of the pack: a folder on its way is a symbolic link')
}

/** Whether a real file of this size lies there; a link is none. */
export async function isFileOf(file: string, sizeBytes: number): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined)
  return found?.isFile() === true && found.size === sizeBytes
}

/** What was renamed or written in the folder survives a power loss. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** All of the file or none, on the disk before it returns. */
export async function writeWhole(file: string, content: string | Uint8Array): Promise<void> {
  const written = path.join(path.dirname(file), `.new-${path.basename(file)}`)
  await writeFile(written, content, { flush: true })
  await rename(written, file)
  await flushFolder(path.dirname(file))
}

/**
 * The time of the file system, by which all pods that share it measure: clocks of Nodes differ.
 * `probe` is a file of this pod alone, which is gone afterwards; several may ask at once.
 */
export async function fileSystemNowMs(probe: string): Promise<number> {
  const handle = await open(probe, 'w')
  try {
    await handle.write('.')
    // Flushed, so that on a network file system the time is that of its server.
    await handle.datasync()
    return (await handle.stat()).mtimeMs
  } finally {
    await handle.close()
    await rm(probe, { force: true })
  }
}

/** Size of all files below a folder; 0 when there is none. */
export async function bytesBelow(folder: string): Promise<number> {
  const options = { recursive: true, withFileTypes: true } as const
  const entries = await readdir(folder, options).catch(() => [])
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => await sizeOf(path.join(parentPath, name)))
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}

/** 0 for a file that is gone by now. */
async function sizeOf(file: string): Promise<number> {
  return (await lstat(file).catch(() => undefined))?.size ?? 0
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT'
}

export function isThere(error: unknown): boolean {
  return codeOf(error) === 'EEXIST'
}

export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(codeOf(error))
}

/** Of a call to the system; '' for any other error. */
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
