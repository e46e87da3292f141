import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { manifestName } from './manifest.ts'

/** Files for people, and those that tools leave behind: no part of the model. */
const forPeople = /(^|\/)(\.[^/]*|README|LICEN[CS]E|NOTICE)|\.(md|png|jpe?g|webp|gif)$/i

/**
 * Paths of all files below a folder that may belong to the model, sorted; links too, because a
 * pack with one is refused.
 */
export async function listModelFiles(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => file !== manifestName && !forPeople.test(file))
    .toSorted()
}
